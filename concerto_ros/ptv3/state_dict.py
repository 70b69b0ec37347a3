# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""State dicts as trainings leave them: other entries, prefixes, fewer input channels."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

log = logging.getLogger(__name__)

StateDict = dict[str, torch.Tensor]

#: Entries of a file that may hold the weights, the first that exists is taken: those of the model
#: itself (``module`` is DeepSpeed's), then its moving average (EMA).
ENTRIES = (
    *("state_dict", "model_state_dict", "model_state", "model", "module", "net", "network"),
    *("state_dict_ema", "ema_state_dict", "model_ema", "ema"),
)

#: Parts of names that wrappers of modules add: data-parallel training, torch.compile, FSDP,
#: activation checkpointing.
WRAPPERS = frozenset({"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})

#: What PyTorch's AveragedModel stores beside the weights: how many models it is the mean of.
AVERAGED = "n_averaged"

#: A parameter that every encoder has, and every linear head.
ENCODER_PARAMETER, HEAD_PARAMETER = "embedding.stem.linear.weight", "seg_head.weight"

#: How each block begins in a LitePT, and in no other architecture.
LITEPT_BLOCK = re.compile(r"\.block0\.(conv\.0|norm0\.0)\.")

#: Prefixes of a second copy of the model: its moving average, the teacher of a distillation.
COPY = re.compile(r"(^|[._])(ema|teacher|averaged|shadow)([._]|$)")

#: Names that a message lists; a bare state dict has hundreds.
MOST_NAMED = 8

#: The stem of PT-v3m1, a sparse convolution; Sonata, Concerto and Utonia are PT-v3m2 and later.
#: LitePT has it, too.
OLDER_STEM = "embedding.stem.conv.weight"

#: What the package gives an encoder for each voxel, in this order, three channels each.
CHANNELS = ("coord", "color", "normal")


class CheckpointError(ValueError):
    """A file that is missing or is not the expected checkpoint; one line that says what to do."""


def state_dict_in(content: Mapping[str, Any], path: Path) -> StateDict:
    """Return the state dict in a file's content, without what wrappers add to the names.

    Raises:
        CheckpointError: there is none, it holds more than tensors by name, or a name twice.
    """
    entries = [entry for entry in ENTRIES if isinstance(content.get(entry), dict)]
    if not entries:
        raise CheckpointError(
            f"{path} has no dict 'state_dict'; got {names_in(content)}, expected 'config' and"
            " 'state_dict'"
        )
    if entries[1:]:
        log.info(
            "weights of %s: using %r, ignoring %s", path.name, entries[0], ", ".join(entries[1:])
        )
    stored = content[entries[0]]
    if isinstance(stored.get("state_dict"), dict):
        stored = stored["state_dict"]
    state: StateDict = {}
    for name, value in stored.items():
        if name == AVERAGED:
            continue
        if not (isinstance(name, str) and isinstance(value, torch.Tensor)):
            raise CheckpointError(
                f"{path} has {type(value).__name__} under {name!r} in its {entries[0]}; expected"
                " tensors by name"
            )
        bare = without_wrappers(name)
        if bare in state:
            raise CheckpointError(
                f"{path} has {bare!r} more than once in its {entries[0]}, the last as {name!r};"
                " expected each name once"
            )
        state[bare] = value
    return state


def names_in(content: Mapping[str, Any]) -> str:
    """Return the names of a file's entries, for messages; of many the first few."""
    names = sorted(map(str, content))
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return f"{names[:MOST_NAMED]}{more}"


def without_wrappers(name: str) -> str:
    """Return the name of a parameter without the parts that wrappers of modules add."""
    return ".".join(part for part in name.split(".") if part not in WRAPPERS)


def part_with(state: StateDict, parameter: str, path: Path) -> StateDict:
    """Select the module that has a parameter, by its names.

    Trainings store more than the encoder: under ``backbone.`` beside a head, under
    ``student.backbone.`` beside a teacher, under ``ema_model.`` beside the model. Of such copies
    the model itself is taken. What has no prefix is returned with all names, so that those that
    are too much can be named.

    Args:
        state: as :func:`state_dict_in` returns it.
        parameter: full name of the parameter in its module.
        path: the file, for messages.

    Raises:
        CheckpointError: several modules have it, and it is not clear which is the model.
    """
    prefixes = [name.removesuffix(parameter) for name in state if name.endswith(parameter)]
    prefixes = [prefix for prefix in prefixes if not prefix or prefix[-1] in "._"]
    older = any(name.endswith(OLDER_STEM) for name in state) and not is_litept(state)
    if not prefixes and older:
        raise CheckpointError(
            f"{path} is a Point Transformer V3 of the first version (PT-v3m1, with"
            f" {OLDER_STEM!r}),"
            f" expected PT-v3m2 or later, as Sonata, Concerto and Utonia are, with {parameter!r}"
        )
    if prefixes in ([], [""]):
        return state
    models = [prefix for prefix in prefixes if not COPY.search(prefix)] or prefixes
    if len(models) > 1:
        raise CheckpointError(
            f"{path} holds several models, under {', '.join(map(repr, sorted(models)))}; expected"
            " one: store only its entries of the state_dict"
        )
    prefix = models[0]
    copies = tuple(other for other in prefixes if other != prefix)
    part = {
        name.removeprefix(prefix): value
        for name, value in state.items()
        if name.startswith(prefix) and not (copies and name.startswith(copies))
    }
    left = len(state) - len(part)
    log.info(
        "weights of %s: using %d entries under %r, ignoring %d others",
        path.name,
        len(part),
        prefix,
        left,
    )
    return part


def is_litept(names: Iterable[str]) -> bool:
    """Return whether the names of a state dict are those of a LitePT."""
    return any(LITEPT_BLOCK.search(name) for name in names)


def for_all_channels(
    state: StateDict,
    config: dict[str, Any],
    channels: Any,
    path: Path,
    *,
    parameter: str = ENCODER_PARAMETER,
) -> tuple[StateDict, dict[str, Any]]:
    """Return weights and config of an encoder that takes all :data:`CHANNELS`, in their order.

    The weights of channels that the encoder was trained without become zero, so that it computes
    what it did.

    Args:
        state: the encoder's state dict.
        config: its official config; without ``in_channels``, the weights say how many they are.
        channels: the file's entry ``channels``: names of :data:`CHANNELS` in the order in which
            the encoder takes them (``feat_keys`` of Pointcept); None: all, if there are nine.
        path: the file, for messages.
        parameter: name of the stem's weight (width, ..., in_channels).

    Raises:
        CheckpointError: the channels are not known, or not as many as ``in_channels``.
    """
    everything = 3 * len(CHANNELS)
    weight = state.get(parameter)
    count = config.get("in_channels", weight.shape[-1] if weight is not None else None)
    if channels is None and count == everything:
        return state, {**config, "in_channels": everything}
    known = isinstance(channels, (list, tuple)) and len(set(map(str, channels))) == len(channels)
    if not known or not all(channel in CHANNELS for channel in channels):
        got = "no entry 'channels'" if channels is None else f"channels={channels!r}"
        where = "config" if "in_channels" in config else "weights"
        raise CheckpointError(
            f"{path} has in_channels={count!r} in its {where} and {got}, expected in_channels="
            f"{everything} ({', '.join(CHANNELS)}), or an entry 'channels' beside 'config' that"
            " lists those of them it was trained with, in their order (feat_keys of Pointcept); an"
            " encoder of other channels, such as strength, cannot be used"
        )
    if count != 3 * len(channels) or weight is None or weight.shape[-1] != count:
        got = "no such tensor" if weight is None else f"shape {tuple(weight.shape)}"
        raise CheckpointError(
            f"{path} has in_channels={count!r} in its config and {parameter} of {got},"
            f" expected three for each of its channels {', '.join(channels)}"
        )
    columns = [3 * CHANNELS.index(channel) + axis for channel in channels for axis in range(3)]
    whole = weight.new_zeros((*weight.shape[:-1], everything))
    whole[..., columns] = weight
    return {**state, parameter: whole}, {**config, "in_channels": everything}

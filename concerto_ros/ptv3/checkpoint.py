# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: official files as they are, official names by download, the bundled models."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from concerto_ros.files.digest import weights_digest
from concerto_ros.files.finite_tensors import not_finite
from concerto_ros.files.torch_file import on_cpu, read_plain, write_file
from concerto_ros.ptv3.architectures import Architecture, architecture_of, new_encoder
from concerto_ros.ptv3.bundled import DEMO, read_demo
from concerto_ros.ptv3.config import PTv3Config
from concerto_ros.ptv3.encoder import Encoder
from concerto_ros.ptv3.official_files import OFFICIAL_ENCODERS, OFFICIAL_HEADS, find_file
from concerto_ros.ptv3.state_dict import (
    CheckpointError,
    for_all_channels,
    names_in,
    part_with,
    state_dict_in,
)
from concerto_ros.settings.published_models import OFFICIAL_LICENCE

log = logging.getLogger(__name__)

#: Parameters that only training reads. No other parameter may be missing or unexpected.
TRAINING_PARAMETERS = frozenset({"embedding.mask_token"})


def load_encoder(
    name_or_path: str | os.PathLike,
    *,
    preset: str = "indoor",
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    download: bool = True,
) -> Encoder:
    """Load an encoder in evaluation mode.

    An official name is looked up in
    :func:`~concerto_ros.ptv3.official_files.checkpoint_folder`, then in the cache of
    ``huggingface_hub``, then downloaded.

    The file's config, or the names of its weights, tell which architecture it is: Point
    Transformer V3 or LitePT. A checkpoint of a training of Pointcept, which has no config, gets
    that of the released shapes that its weights have; a warning says what was read from the shapes
    and what was assumed.

    Args:
        name_or_path: an official file ``{"config", "state_dict"}``, an official name
            (:data:`~concerto_ros.ptv3.official_files.OFFICIAL_ENCODERS`), or ``demo`` for the
            bundled model of ``preset``.
        preset: which bundled model ``demo`` is: ``indoor`` or ``outdoor``. Files and official
            names do not depend on it.
        device: where the weights are put.
        dtype: their floating-point type.
        download: whether a file that is not on this machine may be downloaded.

    Raises:
        CheckpointError: (a ValueError) the file is missing, is not a checkpoint, does not fit its
            config, or holds weights that are not finite, in the file or in ``dtype``.
        ConfigError: (a ValueError) a config field is not supported.
    """
    name = os.fspath(name_or_path)
    if name == DEMO:
        content, path = read_demo("encoder", preset)
        name = content["name"]
    else:
        content, path = read_checkpoint(name, OFFICIAL_ENCODERS, download=download)
    architecture = architecture_of(content)
    state = part_with(content["state_dict"], architecture.parameter, path)
    config, channels = _config_or_inferred(content, architecture, state, path)
    state, fields_in_file = for_all_channels(
        state, config, channels, path, parameter=architecture.parameter
    )
    rotary = any(key.endswith("attn.rope.inv_freq") for key in state)
    encoder = new_encoder(
        architecture.config.from_official(fields_in_file, rotary=rotary),
        name=name,
        grid_size=content.get("grid_size"),
        preset=preset_in(content, path),
        conventions=_conventions_in(content, path),
    )
    load_strictly(encoder, state, path, ignored=TRAINING_PARAMETERS)
    encoder.digest = weights_digest(encoder, "")  # before another type rounds them
    encoder.licence = licence_of(content, path)
    log_licence(content, path)
    encoder = encoder.to(device=device, dtype=dtype)
    check_finite(encoder, path)
    return encoder.eval().requires_grad_(False)


def untrained_encoder(config: PTv3Config, *, name: str, seed: int = 0) -> Encoder:
    """Create an encoder whose random weights depend on the seed alone, for experiments."""
    encoder = new_encoder(config, name=name, trained=False)
    randomise(encoder, seed)
    return encoder.eval()


@torch.no_grad()
def randomise(module: nn.Module, seed: int) -> None:
    """Fill every matrix with normal numbers of unit gain from a generator with this seed.

    Biases become zero; parameters that normalise or scale keep their value.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in module.named_parameters():
        if parameter.ndim > 1:
            gain = 1 / math.sqrt(parameter[0].numel())
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * gain)
        elif name.endswith("bias"):
            parameter.zero_()


def read_checkpoint(
    name_or_path: str | os.PathLike, official: dict[str, str], *, download: bool = True
) -> tuple[dict[str, Any], Path]:
    """Read a checkpoint file.

    Args:
        name_or_path: path or official name.
        official: the Hugging Face repository of each official name.
        download: whether a file that is not on this machine may be downloaded.

    Returns:
        The content ``{"config", "state_dict", ...}`` and the path of the file. The state dict
            holds tensors by name, whatever its entry in the file, without the parts of names that
            wrappers add; a checkpoint of a training has no config.

    Raises:
        CheckpointError: the file is missing, or has another content.
    """
    path = find_file(os.fspath(name_or_path), official, download)
    try:
        content = read_plain(path)
    except ValueError as error:
        raise CheckpointError(str(error)) from error
    if not isinstance(content, dict):
        raise CheckpointError(
            f"{path} has no dict 'config'; got a {type(content).__name__}, expected a dict of"
            " 'config' and 'state_dict'"
        )
    if not isinstance(content.get("config", {}), dict):
        got = type(content["config"]).__name__
        raise CheckpointError(f"{path} has no dict 'config'; got a {got}, expected a dict")
    content["state_dict"] = state_dict_in(content, path)
    return content, path


def config_in(content: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Return the official config of an encoder in a file's content.

    Raises:
        CheckpointError: there is none, as in the checkpoints of a training.
    """
    config = content.get("config")
    if not isinstance(config, dict):
        raise CheckpointError(
            f"{path} has no dict 'config'; got {names_in(content)}, expected 'config' and"
            " 'state_dict'. A training of Pointcept keeps it in its config.py under"
            " model.backbone: docs/training.md says how to add it"
        )
    return config


def _config_or_inferred(
    content: Mapping[str, Any],
    architecture: Architecture,
    state: dict[str, torch.Tensor],
    path: Path,
) -> tuple[dict[str, Any], Any]:
    """Return the config in a file and its entry ``channels``.

    Where it has no config, as that of a training, they are those of the shapes.
    """
    channels = content.get("channels")
    if "config" in content:
        return config_in(content, path), channels
    try:
        config, said = architecture.infer(state)
    except (ValueError, KeyError):
        return config_in(content, path), channels  # refuses: it says where the config is
    log.warning("weights of %s: %s", path.name, said)
    return config, channels or architecture.released_channels.get(config["in_channels"])


def load_strictly(
    module: nn.Module,
    state: dict[str, torch.Tensor],
    path: Path,
    *,
    ignored: frozenset[str] = frozenset(),
) -> None:
    """Copy a state dict into a module; every name and shape must match, every value be finite.

    Args:
        module: is changed in place.
        state: the state dict.
        path: the file that errors name.
        ignored: names in ``state`` that are skipped.

    Raises:
        CheckpointError: a name is missing or unexpected, a shape differs, or a value is not
            finite.
    """
    state = {name: value for name, value in state.items() if name not in ignored}
    own = module.state_dict()
    faults = [
        f"{what}: {', '.join(names[:4])}{f' and {len(names) - 4} more' if names[4:] else ''}"
        for what, names in (
            ("missing", sorted(own.keys() - state.keys())),
            ("unexpected", sorted(state.keys() - own.keys())),
            (
                "wrong shape",
                [
                    f"{name} {tuple(state[name].shape)} instead of {tuple(own[name].shape)}"
                    for name in sorted(own.keys() & state.keys())
                    if state[name].shape != own[name].shape
                ],
            ),
        )
        if names
    ]
    if faults:
        raise CheckpointError(
            f"the state_dict of {path} does not fit its config; {'; '.join(faults)}"
        )
    module.load_state_dict(state)
    check_finite(module, path)


def check_finite(module: nn.Module, path: Path) -> None:
    """Check the weights of a module: one NaN makes every output NaN.

    Args:
        module: with the weights in the floating-point type in which they will be used.
        path: the file that they come from.

    Raises:
        CheckpointError: a value is NaN or infinite; the text names the tensors.
    """
    faults = not_finite(module.state_dict())
    if not faults:
        return
    if any(parameter.dtype == torch.float16 for parameter in module.parameters()):
        raise CheckpointError(
            f"{path} has weights that are not finite in float16: {faults}; expected weights below"
            " 65504, or the precision float32 or bfloat16"
        )
    raise CheckpointError(
        f"{path} has weights that are not finite (NaN or infinity): {faults}; expected finite"
        " weights: the training diverged or overflowed, so take an earlier checkpoint or train"
        " again with a lower learning rate"
    )


def licence_of(content: dict[str, Any], path: Path) -> str:
    """Return the licence of the weights; empty where none is stored or known."""
    official = path.stem in OFFICIAL_ENCODERS or path.stem in OFFICIAL_HEADS
    return str(content.get("license") or (OFFICIAL_LICENCE if official else ""))


def preset_in(content: dict[str, Any], path: Path) -> str | None:
    """Return the preset stored in a file of this package; None for official files.

    Raises:
        CheckpointError: the preset is not a text.
    """
    return text_in(content, "preset", "the name of a preset", path)


def text_in(content: dict[str, Any], entry: str, expected: str, path: Path) -> str | None:
    """Return an entry of a file that is a text; None where it does not exist.

    Raises:
        CheckpointError: it is not a text; the text says what was ``expected``.
    """
    value = content.get(entry)
    if value is not None and not isinstance(value, str):
        raise CheckpointError(f"{path} has {entry} {value!r}, expected {expected}")
    return value


def _conventions_in(content: dict[str, Any], path: Path) -> dict[str, tuple[float, str]]:
    """Return the conventions by preset stored in a file of this package; none in official files.

    Raises:
        CheckpointError: they are not numbers and texts by preset.
    """
    stored = content.get("conventions", {})
    try:
        return {
            str(preset): (float(scale), str(centre)) for preset, (scale, centre) in stored.items()
        }
    except (AttributeError, TypeError, ValueError):
        raise CheckpointError(
            f"{path} has conventions {stored!r}, expected a scale and a centre for each preset"
        ) from None


def log_licence(content: dict[str, Any], path: Path) -> None:
    """Log the licence under which the weights may be used."""
    licence = licence_of(content, path)
    if licence:
        log.info("weights of %s: licence %s", path.name, licence)
    else:
        log.info("weights of %s: no licence is named in the file", path.name)


def save_encoder(path: Path, encoder: Encoder) -> None:
    """Write an encoder, with its decoder if it has one, in the official layout.

    The file holds ``{"config", "state_dict"}`` and, where the encoder has them, ``grid_size`` in
    metres, ``preset`` and ``conventions``; :func:`~concerto_ros.ptv3.load_encoder` reads it back.
    """
    config, state = encoder.config.to_official(), on_cpu(encoder.state_dict())
    content: dict[str, Any] = {"config": config, "state_dict": state}
    if encoder.grid_size is not None:
        content["grid_size"] = float(encoder.grid_size)
    if encoder.preset is not None:
        content["preset"] = encoder.preset
    if encoder.conventions:
        content["conventions"] = {
            preset: list(convention) for preset, convention in encoder.conventions.items()
        }
    write_file(path, content)

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The bundled models: for each preset one file with an encoder and its head."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from concerto_ros.files.digest import tensors_digest
from concerto_ros.files.safetensors_file import read_tensors, write_tensors
from concerto_ros.files.shared_files import asset_path
from concerto_ros.ptv3.config import PTv3Config
from concerto_ros.ptv3.encoder import Encoder
from concerto_ros.ptv3.state_dict import CheckpointError, StateDict

#: As a checkpoint or head: the bundled model of the preset.
DEMO = "demo"

#: The bundled models by preset: the name of each, of its file and of its label set.
BUNDLED = {"indoor": "demo", "outdoor": "demo_outdoor"}

#: The metadata of a file, each as JSON.
_ABOUT = ("config", "grid_size", "preset", "conventions", "license")


def demo_file(preset: str = "indoor") -> Path:
    """Return the path of the bundled model of a preset.

    Raises:
        CheckpointError: no model of this preset is bundled.
    """
    if preset not in BUNDLED:
        raise CheckpointError(
            f"preset is {preset!r}; expected {' or '.join(BUNDLED)}, for which a model is bundled"
        )
    return asset_path(f"{BUNDLED[preset]}.safetensors")


def read_demo(part: str, preset: str = "indoor") -> tuple[dict[str, Any], Path]:
    """Read one part of the bundled model of a preset.

    Args:
        part: ``encoder``, ``head`` or ``names``.
        preset: whose model it is.

    Returns:
        A dict with ``name``, ``config``, ``grid_size``, ``preset``, ``conventions`` and
            ``license``, the fine ``names``, the digest of the ``encoder`` and the ``state_dict``
            of the part, in float32; and the path of the file. A model that knows no fine names has
            no ``names``, and an empty state dict of that part.

    Raises:
        CheckpointError: no model of this preset is bundled, or its file is missing or damaged.
    """
    path = demo_file(preset)
    try:
        tensors, metadata = read_tensors(path)
        content = {name: json.loads(metadata[name]) for name in _ABOUT}
        content["names"] = tuple(json.loads(metadata.get("names", "[]")))
    except (OSError, KeyError, ValueError) as error:
        raise CheckpointError(
            f"the bundled demo model, {path}, cannot be read ({error}); reinstall the package"
        ) from error
    states: dict[str, StateDict] = {"encoder": {}, "head": {}, "names": {}}
    for name, value in tensors.items():
        owner, _, own_name = name.partition(".")
        states.setdefault(owner, {})[own_name] = value.float()
    content["encoder"] = tensors_digest(states["encoder"], "")
    return {"name": BUNDLED[preset], **content, "state_dict": states[part]}, path


class NamesHead(NamedTuple):
    """What a training with fine names learned beside the classes.

    No label comes from it; a language head begins with it.

    Attributes:
        names: the fine names, F.
        head: takes the encoder's features and gives the logits of these.
    """

    names: Sequence[str]
    head: nn.Module


def save_demo(
    encoder: Encoder, head: nn.Module, path: Path, named: NamesHead | None = None
) -> None:
    """Write an encoder and its head as the bundled model of the encoder's preset.

    All tensors of both state dicts are stored, in half precision; with them the encoder's config,
    ``grid_size``, ``preset`` and ``conventions``.

    Args:
        encoder: its preset is that of one of :data:`BUNDLED`.
        head: takes the encoder's features.
        path: the file; :func:`demo_file` is where it is read.
        named: what it knows of fine names; None: nothing.

    Raises:
        ValueError: the encoder has another preset or none.
    """
    if encoder.preset not in BUNDLED:
        raise ValueError(
            f"encoder.preset is {encoder.preset!r}; expected {' or '.join(BUNDLED)}, the preset"
            " whose bundled model it is"
        )
    state = {f"encoder.{name}": value for name, value in encoder.state_dict().items()}
    state |= {f"head.{name}": value for name, value in head.state_dict().items()}
    if named is not None:
        state |= {f"names.{name}": value for name, value in named.head.state_dict().items()}
    halves = {name: value.half() for name, value in state.items()}
    config = {field.name: getattr(encoder.config, field.name) for field in fields(PTv3Config)}
    del config["rotary"]
    about = (config, encoder.grid_size, encoder.preset, encoder.conventions, "Apache-2.0")
    metadata = {name: json.dumps(value) for name, value in zip(_ABOUT, about, strict=True)}
    if named is not None:
        metadata["names"] = json.dumps(list(named.names))
    write_tensors(path, halves, metadata)

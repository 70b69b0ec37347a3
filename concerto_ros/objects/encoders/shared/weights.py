# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Weight files as the authors of object encoders publish them."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from concerto_ros.files.torch_file import read_plain
from concerto_ros.ptv3.checkpoint import CheckpointError, load_strictly
from concerto_ros.ptv3.state_dict import without_wrappers

#: Entries of a published file that may hold the state dict; the first that exists is taken.
WRAPPERS = ("base_model", "model", "model_state_dict", "state_dict")

State = dict[str, torch.Tensor]


def read_content(path: str | os.PathLike) -> dict[str, Any]:
    """Read everything in a file: tensors and plain values, nothing that could run.

    Raises:
        CheckpointError: If the file is missing, damaged or holds more (it is a ValueError).
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise CheckpointError(
            f"checkpoint {os.fspath(path)!r} is not a file, expected a weight file"
        )
    try:
        content = read_plain(path)
    except ValueError as error:
        raise CheckpointError(str(error)) from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds a {type(content).__name__}, expected a dict")
    return content


def find_state(
    content: dict[str, Any], path: str | os.PathLike, wrappers: Sequence[str] = WRAPPERS
) -> State:
    """Find the state dict in the content of a file, under one of ``wrappers`` or at the top.

    What wrappers add to names (``module.``, ``_orig_mod.``) and a leading ``base_model.`` are
    dropped.

    Args:
        content: As :func:`read_content` returns it.
        path: The file, for error messages.
        wrappers: Entries that may hold the state dict; the first that exists is taken.

    Raises:
        CheckpointError: If there are no tensors.
    """
    inner = next((content[name] for name in wrappers if isinstance(content.get(name), dict)), None)
    state = content if inner is None else inner
    tensors = {
        without_wrappers(name).removeprefix("base_model."): value
        for name, value in state.items()
        if isinstance(name, str) and isinstance(value, torch.Tensor)
    }
    if not tensors:
        raise CheckpointError(
            f"{path} holds no weights: expected tensors at the top level or under one of"
            f" {', '.join(wrappers)}, found {', '.join(sorted(map(str, content))) or 'nothing'}"
        )
    return tensors


def read_weights(path: str | os.PathLike) -> State:
    """Read the state dict of a published file, unwrapped.

    Raises:
        CheckpointError: If the file is missing, damaged, or holds no weights.
    """
    return find_state(read_content(path), path)


def load_weights(
    module: nn.Module,
    state: State,
    path: str | os.PathLike,
    *,
    ignore: Sequence[str] = (),
    optional: Sequence[str] = (),
) -> None:
    """Copy a state dict into a module; every name and shape must match.

    Args:
        module: Takes the weights.
        state: Tensors by the names of the module.
        path: The file, for error messages.
        ignore: Names in the file that begin with one of these are skipped.
        optional: Names of the module that begin with one of these keep their value where the file
            lacks them.

    Raises:
        CheckpointError: If names are missing or unexpected, or shapes differ; it lists them.
    """
    kept = {name: value for name, value in state.items() if not name.startswith(tuple(ignore))}
    for name, value in module.state_dict().items():
        if name.startswith(tuple(optional)):
            kept.setdefault(name, value)
    load_strictly(module, kept, Path(path))


def part(state: State, prefix: str) -> State:
    """Select the entries whose names begin with ``prefix``, without it."""
    return {
        name.removeprefix(prefix): value
        for name, value in state.items()
        if name.startswith(prefix)
    }


def under(state: State, prefix: str, beside: Sequence[str] = ()) -> State:
    """Add ``prefix`` to the names, except to those that begin with one of ``beside``."""
    return {
        name if name.startswith(tuple(beside)) else f"{prefix}{name}": value
        for name, value in state.items()
    }


def count_blocks(state: State, prefix: str) -> int:
    """Count the numbered modules ``<prefix><number>.`` among the names."""
    matches = (re.match(re.escape(prefix) + r"(\d+)\.", name) for name in state)
    return len({match.group(1) for match in matches if match is not None})

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Files of Any2Point: fine-tuned ones, and those of the models that lend the transformer."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import torch

from concerto_ros.objects.encoders.any2point.variants import (
    CLIP,
    DINO,
    IMAGEBIND,
    SOURCES,
    VARIANTS,
    Source,
    Variant,
)
from concerto_ros.objects.encoders.shared.torchscript import is_torchscript, read_torchscript
from concerto_ros.objects.encoders.shared.weights import State, find_state, read_content
from concerto_ros.ptv3.checkpoint import CheckpointError

#: The name of the source's position table in the module. Published files do not hold it.
TABLE = "position_table"

#: Names of published files and of source files -> those of the module.
RENAMED = (
    (r"^encoder\.", ""),
    (r"^prediction\.head\.(\d)\.(\d)\.", lambda m: f"head.{2 * int(m[1]) + int(m[2])}."),
    (r"^cls_head_finetune\.", "head."),
    (r"^resblocks\.", "blocks."),
    (r"\.ln_([12])\.", r".norm\1."),
    (r"\.norm_([12])\.", r".norm\1."),
    (r"\.attn\.in_proj_(weight|bias)$", r".attn.qkv.\1"),
    (r"\.attn\.out_proj\.", ".attn.proj."),
    (r"\.mlp\.c_fc\.", ".mlp.fc1."),
    (r"\.mlp\.c_proj\.", ".mlp.fc2."),
    (r"\.out_transform_[12]d\.", ".out_transform_views."),
)


def own_names(state: State) -> State:
    """Rename a state dict of a fine-tuned file, or of this package, to the names of the module."""
    renamed = {}
    for name, value in state.items():
        if name in {source.table for source in SOURCES} | {TABLE}:
            renamed[TABLE] = value.reshape(-1, value.shape[-1])
        else:
            renamed[own_name(name)] = value
    return renamed


def own_name(name: str) -> str:
    """Rename one parameter of a fine-tuned file as the module has it."""
    for pattern, replacement in RENAMED:
        name = re.sub(pattern, replacement, name)
    return name


def variant_of(state: State) -> Variant:
    """Detect the variant of a state dict from its names, published or own."""
    if any(name.startswith(("resblocks.", "encoder.resblocks.")) for name in state):
        source = CLIP
    elif any(name.endswith("ls1.gamma") for name in state):
        source = DINO
    else:
        rows = len(state[TABLE]) if TABLE in state else None
        source = CLIP if rows == CLIP.rows else IMAGEBIND
    head_bias = any(own_name(name) == "head.0.bias" for name in state)
    return next(
        variant
        for variant in VARIANTS.values()
        if variant.source is source and variant.benchmark.head_bias == head_bias
    )


def read_table(path: str | os.PathLike, source: Source) -> torch.Tensor:
    """Read the position table (rows, C) from the file of a source model, float32.

    Raises:
        CheckpointError: If the file cannot be read or is of another model.
    """
    return _table(_read(path, source, lambda name: name == source.table), path, source)


def read_source(path: str | os.PathLike, source: Source) -> State:
    """Read what a new model takes from a source model's file: transformer and position table.

    Names are those of the module, values float32. Other towers, the patch embedding, and the extra
    keys and values of ImageBind's attention are skipped.

    Raises:
        CheckpointError: If the file cannot be read or is of another model.
    """
    prefixes = tuple(prefix for prefix, _ in source.parts)
    state = _read(path, source, lambda name: name == source.table or name.startswith(prefixes))
    lent = {TABLE: _table(state, path, source)}
    for prefix, own in source.parts:
        for name, value in state.items():
            if name.startswith(prefix) and not name.endswith((".bias_k", ".bias_v")):
                lent[own_name(own + name.removeprefix(prefix))] = value.float()
    return lent


def _read(path: str | os.PathLike, source: Source, keep: Callable[[str], bool]) -> State:
    path = Path(path).expanduser()
    if path.is_file() and is_torchscript(path):
        tables = {other.table for other in SOURCES}
        return read_torchscript(path, lambda name: keep(name) or name in tables)
    return find_state(read_content(path), path)


def _table(state: State, path: str | os.PathLike, source: Source) -> torch.Tensor:
    if source.table not in state:
        other = next((other.name for other in SOURCES if other.table in state), None)
        hint = f"; it looks like one of {other}" if other else ""
        raise CheckpointError(
            f"{os.fspath(path)} has no {source.table!r}, expected a file of {source.name}{hint}"
        )
    table = state[source.table]
    if table.ndim not in (2, 3) or table.numel() != source.rows * table.shape[-1]:
        raise CheckpointError(
            f"{source.table!r} of {os.fspath(path)} has shape {tuple(table.shape)}, expected"
            f" {source.rows} rows as in {source.name}"
        )
    return table.reshape(source.rows, -1).float()

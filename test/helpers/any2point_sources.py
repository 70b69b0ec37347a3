# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Small files of the models whose transformers Any2Point uses, under their published names."""

from __future__ import annotations

import json
import re
from pathlib import Path

import paths
import torch

from concerto_ros.objects.encoders.any2point.encoder import Any2Point
from concerto_ros.objects.encoders.any2point.files import own_name
from concerto_ros.objects.encoders.any2point.variants import VARIANTS

GOLDEN = paths.GOLDEN / "objects" / "any2point"

SHAPE = dict(width=24, depth=2, heads=2, point_width=3, adapter_width=2, neighbours=4)


def mapping_of(variant: str, depth: int = 2) -> dict[str, str | None]:
    """Name in the source file -> name in the published model, None for what is left out.

    The source models have twelve blocks; those from ``depth`` on are taken away.
    """
    kind = variant.partition("_")[0]
    mapping = json.loads((GOLDEN / f"{kind}_scan_source_mapping.json").read_text())["mapping"]
    blocks = {name: re.search(r"blocks\.(\d+)\.", name) for name in mapping}
    return {
        name: target
        for name, target in mapping.items()
        if blocks[name] is None or int(blocks[name][1]) < depth
    }


def source_state(variant: str, depth: int = 2) -> dict[str, torch.Tensor]:
    """A small source model's state dict under the names of the official file."""
    with torch.device("meta"):
        own = Any2Point(VARIANTS[variant], **SHAPE | {"depth": depth}).state_dict()
    source = VARIANTS[variant].source
    shapes = {
        name: (5,) if target is None else own[own_name(target)].shape
        for name, target in mapping_of(variant, depth).items()
    }
    shapes[source.table] = (source.rows, 24) if source.columns is None else (1, source.rows, 24)
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def write_source(folder: Path, variant: str, **changes: torch.Tensor | None) -> Path:
    """A source file, with some entries replaced or, by None, left out."""
    state = source_state(variant) | changes
    path = folder / f"{variant}_source.pth"
    torch.save({name: value for name, value in state.items() if value is not None}, path)
    return path

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""List the models that have a name: what they take, their licence, and which are on this machine.

Nothing is downloaded. `concerto-ros download NAME` fetches one; a file that was put into the cache
folder by hand counts, too. docs/models.md says more.
"""

from __future__ import annotations

import argparse
import json
import struct
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concerto_ros.settings.published_models import PublishedModel

HELP = "list the models that have a name, and which of them are on this machine"

_COLUMNS = ("model", "where", "takes, beside xyz", "parameters", "licence", "on this machine")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define no options."""


def run(arguments: argparse.Namespace) -> int:
    """Print the table."""
    from concerto_ros.settings.published_models import ENCODERS, HEADS, OFFICIAL_LICENCE

    rows = [_row(model) for model in ENCODERS]
    rows += [
        (name, "indoor", "features of its encoder", "", OFFICIAL_LICENCE, _found(name, repository))
        for name, repository in HEADS.items()
    ]
    widths = [max(map(len, column)) for column in zip(_COLUMNS, *rows, strict=True)]
    for row in (_COLUMNS, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
    return 0


def _row(model: PublishedModel) -> tuple[str, ...]:
    if model.repository:
        millions, place = model.parameters, _found(model.name, model.repository)
    else:
        millions, place = _bundled_millions(model.place), "bundled"
    number = "not stated" if millions is None else f"{millions:.3g} million"
    return (model.name, model.place, model.inputs, number, model.licence, place)


def _found(name: str, repository: str) -> str:
    """Return the path of an official file on this machine, or that there is none."""
    from concerto_ros.files.cache_folder import cache_folder

    file = f"{name}.pth"
    placed = cache_folder() / file
    if placed.is_file():
        return str(placed)
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(repository, file)
    return cached if isinstance(cached, str) else "no"


def _bundled_millions(preset: str) -> float:
    """Return the number of parameters of a bundled encoder, in millions, without loading it."""
    from concerto_ros.files.shared_files import asset_path

    name = "demo" if preset == "indoor" else f"demo_{preset}"
    with Path(asset_path(f"{name}.safetensors")).open("rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
    count = 0
    for tensor, about in header.items():
        if tensor.startswith("encoder."):
            product = 1
            for length in about["shape"]:
                product *= length
            count += product
    return count / 1e6

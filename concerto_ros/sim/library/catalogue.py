# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Catalogues of furniture models: ``.sh3f`` files of Sweet Home 3D, and folders with a table.

Nothing here reads a model; a catalogue only says what there is, how large it is and whose it is.
"""

from __future__ import annotations

import csv
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

#: The table of a folder of models, and its columns; those after ``category`` may be left out.
TABLE = "furniture.csv"
COLUMNS = ("file", "name", "category", "width", "depth", "height", "creator", "licence")

_CATALOGUE = "PluginFurnitureCatalog.properties"
_IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


@dataclass(frozen=True)
class Entry:
    """A model of a catalogue.

    Attributes:
        library: The library's name.
        identity: What tells the model apart from all others of its library, for good.
        name: What it shows, in English, e.g. ``Corner sofa``.
        category: The library's own category, e.g. ``Living room``.
        tags: Further words of the library, e.g. ``Couch, Seat``.
        size: Width, depth and height, metres; None where the file's own size counts.
        rotation: Row by row the 3x3 matrix that turns the file's model upright, y up.
        elevation: Height of its lower edge above the floor, metres.
        creator: Who made it; empty where the library does not say.
        licence: Licence of the model.
        source: The ``.sh3f`` file, or the folder.
        file: Name of the model's file within ``source``.
    """

    library: str
    identity: str
    name: str
    category: str
    tags: str
    size: tuple[float, float, float] | None
    rotation: tuple[float, ...]
    elevation: float
    creator: str
    licence: str
    source: Path
    file: str


class FurnitureError(ValueError):
    """A catalogue or a model of furniture cannot be used; the text says why and what to do."""


def read_catalogue(source: Path) -> list[Entry]:
    """List the models of an ``.sh3f`` file, or of a folder with a table :data:`TABLE`.

    Raises:
        FurnitureError: A value is missing or wrong; the message names the file and the field.
    """
    return _read_table(source) if source.is_dir() else _read_sh3f(source)


def _read_sh3f(path: Path) -> list[Entry]:
    """A zip of models, pictures and properties; ``name#7`` is the name of the seventh model."""
    try:
        with zipfile.ZipFile(path) as archive:
            text = archive.read(_CATALOGUE).decode("latin-1")
    except (zipfile.BadZipFile, KeyError) as error:
        raise FurnitureError(
            f"{path}: expected a zip file with {_CATALOGUE}, got {error}; export the library again"
        ) from error
    text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda code: chr(int(code[1], 16)), text)
    # A backslash at the end of a line continues it.
    text = re.sub(r"\\\r?\n\s*", "", text)
    about = dict(re.findall(r"^(\w+)\s*=\s*(.*?)\s*$", text, re.MULTILINE))
    models: dict[int, dict[str, str]] = {}
    for key, number, value in re.findall(r"^(\w+)#(\d+)\s*=\s*(.*?)\s*$", text, re.MULTILINE):
        models.setdefault(int(number), {})[key] = value
    library = about.get("name") or path.stem
    return [
        Entry(
            library=library,
            identity=values.get("id") or values["model"],
            name=values.get("name", ""),
            category=values.get("category", ""),
            tags=values.get("tags", ""),
            size=_size(values, 100.0, f"{path}: model {number}"),
            rotation=tuple(map(float, values["modelRotation"].split()))
            if "modelRotation" in values
            else _IDENTITY,
            elevation=float(values.get("elevation") or 0) / 100,
            creator=values.get("creator", ""),
            licence=re.sub(r"\s+", " ", about.get("license", "")),
            source=path,
            file=values["model"].lstrip("/"),
        )
        for number, values in sorted(models.items())
        if "model" in values
    ]


def _read_table(folder: Path) -> list[Entry]:
    path = folder / TABLE
    if not path.is_file():
        raise FurnitureError(
            f"{folder}: expected .sh3f files or a table {TABLE} with the columns"
            f" {', '.join(COLUMNS)}; write one, a line for each model"
        )
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    entries = []
    for number, row in enumerate(rows, start=2):
        if not row.get("file") or not row.get("name"):
            raise FurnitureError(f"{path}: line {number} has no file or no name; it needs both")
        entries.append(
            Entry(
                library=folder.name,
                identity=row["file"],
                name=row["name"],
                category=row.get("category") or "",
                tags="",
                size=_size(row, 1.0, f"{path}: line {number}"),
                rotation=_IDENTITY,
                elevation=0.0,
                creator=row.get("creator") or "",
                licence=row.get("licence") or "",
                source=folder,
                file=row["file"],
            )
        )
    return entries


def _size(
    values: Mapping[str, str], units: float, where: str
) -> tuple[float, float, float] | None:
    """Width, depth and height in metres of ``units`` to a metre; None where none is given."""
    given = [values.get(name) for name in ("width", "depth", "height")]
    if not any(given):
        return None
    try:
        width, depth, height = (float(value or "") / units for value in given)
    except ValueError:
        width = depth = height = 0.0
    if not min(width, depth, height) > 0:
        raise FurnitureError(
            f"{where}: width, depth, height are {given}, expected three positive numbers, or none"
        )
    return width, depth, height

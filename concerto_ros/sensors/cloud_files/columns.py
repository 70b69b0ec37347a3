# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Columns of point cloud files by name: which are coordinates, colours, normals, intensity."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from concerto_ros.sensors.colors import unpack_rgb
from concerto_ros.sensors.input_error import InputError

#: What a file holds: by its own names, columns (N,) and arrays (N, k), in the order of the file.
Columns = dict[str, np.ndarray]

#: Names of whole arrays (N, 3 or more), in lower case.
ARRAYS = {
    "points": ("points", "xyz", "coord", "coords", "positions", "position", "vertices"),
    "colors": ("colors", "color", "rgb", "rgba"),
    "normals": ("normals", "normal"),
}

#: Names of three columns (N,), in lower case.
TRIPLES = {
    "points": (("x", "y", "z"), ("easting", "northing", "elevation")),
    "colors": (
        ("red", "green", "blue"),
        ("r", "g", "b"),
        ("diffuse_red", "diffuse_green", "diffuse_blue"),
        ("rf", "gf", "bf"),  # CloudCompare's fractions
    ),
    "normals": (
        ("nx", "ny", "nz"),
        ("normal_x", "normal_y", "normal_z"),
        ("normalx", "normaly", "normalz"),
    ),
}

#: Names of the column of labels, in lower case.
LABELS = (
    "label",
    "labels",
    "segment",
    "semantic",
    "semantic_label",
    "sem_label",
    "class",
    "classification",
)

INTENSITY = ("intensity", "reflectivity", "i", "reflectance", "remission")

#: A column of four bytes per colour, as PCL packs them.
PACKED_COLOR = ("rgb", "rgba")

#: What CloudCompare writes before the names of its scalar fields.
PREFIX = "scalar_"


def find_column(columns: Columns, names: Collection[str]) -> str | None:
    """Return the file's name of the first of ``names`` (lower case) that it holds, or None."""
    known = _by_plain_name(columns)
    return next((known[name] for name in names if name in known), None)


def known_arrays(columns: Columns) -> dict[str, np.ndarray]:
    """Return ``points``, ``colors``, ``normals`` (N, 3) and ``intensity`` (N,) of the columns.

    Those that the columns do not hold are left out. Capitals do not matter.
    """
    known = _by_plain_name(columns)
    found: dict[str, np.ndarray] = {}
    for name, keys in ARRAYS.items():
        key = next((k for k in keys if k in known and columns[known[k]].ndim != 1), None)
        if key is not None:
            found[name] = columns[known[key]]
            continue
        for triple in TRIPLES[name]:
            if all(key in known and columns[known[key]].ndim == 1 for key in triple):
                found[name] = np.stack([columns[known[key]] for key in triple], axis=1)
                break
    packed = find_column(columns, PACKED_COLOR)
    if "colors" not in found and packed is not None:
        found["colors"] = _unpacked(packed, columns[packed])
    for name, keys in ARRAYS.items():
        key = find_column(columns, keys)
        if name not in found and key is not None:
            found[name] = columns[key]  # one number per point: whoever checks shapes says so
    intensity = find_column(columns, INTENSITY)
    if intensity is not None:
        found["intensity"] = columns[intensity]
    return found


def structured(array: np.ndarray) -> Columns:
    """Return the fields of a structured array as columns; of equal names the first counts."""
    return {name: array[name] for name in array.dtype.names or ()}


def named(names: Collection[str], array: np.ndarray) -> Columns:
    """Return the columns of ``array`` (N, len(names)) by name; of equal names the first counts."""
    columns: Columns = {}
    for i, name in enumerate(names):
        columns.setdefault(name, array[:, i])
    return columns


def _by_plain_name(columns: Columns) -> dict[str, str]:
    """Return the file's names by lower-case names, without the prefix of scalar fields."""
    plain: dict[str, str] = {}
    for name in columns:
        plain.setdefault(name.strip().lower(), name)
    for name in columns:
        plain.setdefault(name.strip().lower().removeprefix(PREFIX), name)
    return plain


def _unpacked(name: str, packed: np.ndarray) -> np.ndarray:
    """Unpack the colours of one column (N,)."""
    if packed.dtype.kind in "iuf" and packed.dtype.itemsize == 4:
        return unpack_rgb(packed)
    if packed.dtype.kind in "iuf" and packed.dtype.itemsize == 8:
        finite = np.where(np.isfinite(packed), packed, 0)
        if (finite == np.rint(finite)).all() and finite.min(initial=0) >= -(2**31):
            if finite.max(initial=0) < 2**32:
                return unpack_rgb(finite.astype(np.int64).astype(np.uint32))
        else:
            with np.errstate(over="ignore"):
                return unpack_rgb(finite.astype(np.float32))
    raise InputError(
        "malformed", f"{name}: got {packed.dtype} per point, expected four bytes or three numbers"
    )

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Meshes with annotated segments, as ScanNet and ScanNet++ publish them.

A mesh is divided into small segments (``segIndices``, one number per vertex), and an annotation
groups segments into objects with a name (``segGroups``).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from concerto_ros.learning.data.formats.missing_files import read_json
from concerto_ros.learning.data.label_map import DataError
from concerto_ros.sensors.cloud_files.columns import known_arrays, structured
from concerto_ros.sensors.cloud_files.ply import read_ply_mesh
from concerto_ros.sensors.input_error import InputError


@dataclass(frozen=True, eq=False)
class Mesh:
    """The vertices of a mesh.

    Attributes:
        points: (N, 3) metres.
        colors: (N, 3), or None.
        normals: (N, 3) unit vectors, zero for a vertex without a face; None without faces.
    """

    points: np.ndarray
    colors: np.ndarray | None
    normals: np.ndarray | None


@dataclass(frozen=True, eq=False)
class Segments:
    """The segments of a mesh.

    Attributes:
        ids: (S,) their numbers, ascending.
        rows: (N,) position in ``ids`` of each vertex' segment.
        sizes: (S,) vertices of each segment.
    """

    ids: np.ndarray
    rows: np.ndarray
    sizes: np.ndarray

    def find(self, numbers: list[int]) -> np.ndarray:
        """Positions of the segments with these numbers; unknown numbers are left out."""
        return np.flatnonzero(np.isin(self.ids, numbers))


@dataclass(frozen=True)
class Group:
    """An annotated object: its name, and the numbers of its segments."""

    label: str
    segments: list[int]


def read_mesh(path: Path) -> Mesh:
    """Read the vertices of a .ply mesh, with normals from its faces.

    Raises:
        DataError: The file cannot be read or has no coordinates; names the file.
    """
    try:
        vertices, faces = read_ply_mesh(path)
    except InputError as error:
        raise DataError(str(error)) from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    arrays = known_arrays(structured(vertices))
    if "points" not in arrays:
        names = ", ".join(vertices.dtype.names or ())
        raise DataError(f"{path}: has the properties {names}, expected x, y and z")
    points = arrays["points"]
    if len(faces) and not (faces.min() >= 0 and faces.max() < len(points)):
        wrong = faces.min() if faces.min() < 0 else faces.max()
        raise DataError(f"{path}: a face has vertex {wrong}, expected 0 to {len(points) - 1}")
    normals = vertex_normals(points, faces) if len(faces) else None
    return Mesh(points, arrays.get("colors"), normals)


def vertex_normals(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit normals of the vertices of a mesh: of their faces, weighted by area.

    Args:
        points: (N, 3) vertices.
        faces: (F, 3) vertices of each triangle, counter-clockwise seen from outside.

    Returns:
        (N, 3) float32; zero for a vertex without a face that has an area.
    """
    corners = points.astype(np.float64)[faces]
    doubled = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    rows = faces.reshape(-1)
    total = np.stack(
        [np.bincount(rows, np.repeat(axis, 3), len(points)) for axis in doubled.T], axis=1
    )
    length = np.linalg.norm(total, axis=1, keepdims=True)
    return np.divide(total, length, out=np.zeros_like(total), where=length > 0).astype(np.float32)


def read_segments(path: Path) -> Segments:
    """Read ``segIndices``.

    Raises:
        DataError: The file is missing or invalid; names file and field.
    """
    values = read_json(path, "segIndices")
    try:
        numbers = np.array(values)
    except (TypeError, ValueError):
        numbers = np.array(None)
    if numbers.ndim != 1 or numbers.dtype.kind != "i":
        got = f"{numbers.dtype} of shape {numbers.shape}"
        raise DataError(f"{path}: segIndices: got {got}, expected a list of whole numbers")
    ids, rows, sizes = np.unique(numbers, return_inverse=True, return_counts=True)
    return Segments(ids, rows.reshape(-1), sizes)


def read_groups(path: Path) -> list[Group]:
    """Read ``segGroups``, in the order of the file.

    Raises:
        DataError: The file is missing or invalid; names file and field.
    """
    entries = read_json(path, "segGroups")
    if not isinstance(entries, list):
        raise DataError(f"{path}: segGroups: got {type(entries).__name__}, expected a list")
    return [_group(path, i, entry) for i, entry in enumerate(entries)]


def _group(path: Path, position: int, entry: Any) -> Group:
    where = f"{path}: segGroups[{position}]"
    label = entry.get("label") if isinstance(entry, dict) else None
    if not isinstance(label, str):
        raise DataError(f"{where}: label: got {label!r}, expected the name of an object")
    segments = entry.get("segments")
    if not isinstance(segments, list) or not all(type(number) is int for number in segments):
        got = "none" if segments is None else repr(segments)[:40]
        raise DataError(f"{where}: segments: got {got}, expected a list of whole numbers")
    return Group(label, segments)

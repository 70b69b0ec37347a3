# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""ModelNet10 and ModelNet40 in two more layouts: Point-BERT's caches, and folders of meshes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from concerto_ros.files.error_text import one_line
from concerto_ros.files.numpy_pickle import DAMAGE, read_arrays
from concerto_ros.learning.objects.data.object_set import ObjectSet
from concerto_ros.learning.objects.data.scanobjectnn import check_split, read_lines
from concerto_ros.learning.objects.data.views import triangle_points
from concerto_ros.objects.encoders.shared.preprocess import to_y_up, unit_sphere

#: Points of a cache's object, the farthest, and points drawn of a mesh.
CACHED, DRAWN = 8192, 8192


def read_modelnet_dat(folder: Path, split: str, classes: int = 40) -> ObjectSet:
    """Read ``modelnet40_<split>_8192pts_fps.dat``, as Point-BERT's loader and later ones write it.

    The file is a pickle of two lists, points (n, 3 or more) of each object and its label. Nothing
    in it can run. Objects are moved to unit spheres; normals are skipped.

    Args:
        folder: Has the file and ``modelnet40_shape_names.txt``.
        split: ``train`` or ``test``.
        classes: 40, or 10 for the files of ModelNet10.

    Raises:
        ValueError: If a file is missing or wrong; the message names it.
    """
    path = folder / f"modelnet{classes}_{check_split(split)}_{CACHED}pts_fps.dat"
    names = tuple(read_lines(folder / f"modelnet{classes}_shape_names.txt"))
    if not path.is_file():
        raise ValueError(f"{path} is not a file, expected it as Point-BERT's loader writes it")
    try:
        with path.open("rb") as file:
            clouds, labels = read_arrays(file)
        points = np.stack([np.asarray(cloud, np.float32)[:, :3] for cloud in clouds])
        numbers = np.array([int(np.asarray(label).item()) for label in labels])
    except DAMAGE as error:
        raise ValueError(
            f"{path} cannot be read as two lists, points of each object, all with the same number"
            f" of them, and labels: {one_line(error)}"
        ) from error
    if len(points) != len(numbers):
        raise ValueError(
            f"{path} has {len(points)} objects and {len(numbers)} labels, expected as many"
        )
    points = unit_sphere(torch.from_numpy(points)).numpy()
    return ObjectSet(f"ModelNet{classes}, {split}", points, numbers, names)


def read_modelnet_off(folder: Path, split: str, classes: int = 40) -> ObjectSet:
    """Read the meshes ``<class>/<split>/*.off``, as ModelNet's authors publish them.

    Points are drawn evenly from the triangles, always the same ones, turned from z up to y up and
    moved to unit spheres. Classes are the folders in alphabetical order.

    Args:
        folder: Has a folder for each class.
        split: ``train`` or ``test``.
        classes: How many classes there have to be.

    Raises:
        ValueError: If the folders or a file are wrong; the message names them.
    """
    check_split(split)
    names = tuple(sorted(path.parent.name for path in folder.glob(f"*/{split}") if path.is_dir()))
    if len(names) != classes:
        raise ValueError(
            f"{folder} has {len(names)} folders with {split!r} in them, expected {classes}, one"
            " for each class"
        )
    clouds: list[np.ndarray] = []
    labels = []
    for label, name in enumerate(names):
        for path in sorted((folder / name / split).glob("*.off")):
            corners = read_off(path)
            drawn = triangle_points(corners, DRAWN, np.random.default_rng(len(clouds)))
            clouds.append(unit_sphere(torch.from_numpy(to_y_up(drawn))).numpy())
            labels.append(label)
    if not clouds:
        raise ValueError(f"{folder} has no file <class>/{split}/*.off, expected meshes")
    return ObjectSet(f"ModelNet{classes}, {split}", np.stack(clouds), np.array(labels), names)


def read_off(path: Path) -> np.ndarray:
    """Read the triangles (T, 3, 3) float64 of a text file in the Object File Format.

    Polygons are divided into triangles. In some files of ModelNet40 the counts follow the word OFF
    without a line break.

    Raises:
        ValueError: If the file is damaged or has no area.
    """
    words = path.read_text(encoding="utf-8", errors="replace").split()
    if not words or not words[0].startswith("OFF"):
        raise ValueError(f"{path} does not begin with OFF, expected a mesh in that format")
    words[0] = words[0].removeprefix("OFF")
    words = words if words[0] else words[1:]
    try:
        vertices, faces = int(words[0]), int(words[1])
        numbers = np.array(words[3 : 3 + 3 * vertices], np.float64).reshape(vertices, 3)
        corners = numbers[_triangles(words[3 + 3 * vertices :], faces)]
    except (ValueError, IndexError) as error:
        raise ValueError(f"{path} cannot be read as a mesh: {one_line(error)}") from error
    one, other = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    if not np.isfinite(corners).all() or not np.linalg.norm(np.cross(one, other), axis=1).any():
        raise ValueError(f"{path} has no area or values that are not finite, expected a mesh")
    return corners


def _triangles(words: list[str], faces: int) -> np.ndarray:
    """Return (T, 3) int64 rows of vertices; a face is its count of corners, then these."""
    rows: list[Any] = []
    place = 0
    for _ in range(faces):
        count = int(words[place])
        corners = [int(word) for word in words[place + 1 : place + 1 + count]]
        if count < 3 or len(corners) != count:
            raise ValueError(f"a face has {len(corners)} corners, expected 3 or more")
        rows += [(corners[0], *corners[i : i + 2]) for i in range(1, count - 1)]
        place += 1 + count
    if not rows:
        raise ValueError("it has no faces, expected some")
    return np.array(rows, np.int64)

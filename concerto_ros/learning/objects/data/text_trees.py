# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Data sets that are published as folders of text files: ModelNet40 and ShapeNetPart."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from concerto_ros.learning.objects.data.object_set import ObjectSet
from concerto_ros.learning.objects.data.scanobjectnn import check_split, read_lines
from concerto_ros.objects.encoders.shared.preprocess import unit_sphere

#: Points drawn of an object of ShapeNetPart, whose files have different numbers of them.
PART_POINTS = 2048

#: Splits of ShapeNetPart and the lists they are made of, as in the published protocol.
PART_LISTS = {"train": ("train", "val"), "test": ("test",)}


def read_modelnet_txt(folder: Path, split: str, classes: int = 40) -> ObjectSet:
    """Read one split, ``train`` or ``test``, of ModelNet as in ``modelnet40_normal_resampled``.

    All points of a file (10000 in the published ones), in unit spheres; normals are skipped.

    Args:
        folder: The published folder.
        split: ``train`` or ``test``.
        classes: 40, or 10 for ModelNet10, which the same folder holds.

    Raises:
        ValueError: If a file is missing or wrong; the message names it.
    """
    folder = Path(folder)
    listing = folder / f"modelnet{classes}_{check_split(split)}.txt"
    names = read_lines(folder / f"modelnet{classes}_shape_names.txt")
    clouds: list[np.ndarray] = []
    labels = []
    for name in read_lines(listing):
        label = name.rpartition("_")[0]
        if label not in names:
            raise ValueError(
                f"{listing}: {name} has no class, expected a name that begins with one of"
                f" modelnet{classes}_shape_names.txt"
            )
        path = folder / label / f"{name}.txt"
        cloud = _read_rows(path, ",", 3)[:, :3]
        if clouds and len(cloud) != len(clouds[0]):
            raise ValueError(
                f"{path} has {len(cloud)} points, expected {len(clouds[0])} as in the files before"
            )
        clouds.append(_normalised(cloud))
        labels.append(names.index(label))
    title = f"ModelNet{classes}, {split}"
    return ObjectSet(title, np.stack(clouds), np.array(labels), tuple(names))


def read_shapenetpart(folder: Path, split: str, points: int = PART_POINTS) -> ObjectSet:
    """Read one split of ShapeNetPart as published in text form.

    Objects are moved to a unit sphere, then ``points`` of each are drawn, with repetition as in
    the published code but always the same; training draws anew from ``whole``. Labels of points
    are those of its 50 parts.

    Args:
        folder: The published folder.
        split: ``train`` (with ``val``) or ``test``.
        points: Points of each object.

    Raises:
        ValueError: If a file is missing or wrong; the message names it.
    """
    folder = Path(folder)
    catalogue = folder / "synsetoffset2category.txt"
    rows_of_catalogue = [line.split() for line in read_lines(catalogue)]
    for row in rows_of_catalogue:
        if len(row) != 2:
            raise ValueError(
                f"{catalogue}: got the line {' '.join(row)!r}, expected a name and a number"
            )
    numbers = [number for _, number in rows_of_catalogue]
    clouds: list[np.ndarray] = []
    labels, parts, whole = [], [], []
    for part in PART_LISTS[check_split(split)]:
        for path, number in _listed(folder, part):
            if number not in numbers:
                raise ValueError(
                    f"{path} is of no category, expected one of synsetoffset2category.txt"
                )
            rows = _read_rows(path, None, 7)
            rng = np.random.default_rng(len(clouds))
            drawn = rng.integers(len(rows), size=points)
            cloud = _normalised(rows[:, :3])
            clouds.append(cloud[drawn])
            parts.append(rows[drawn, 6].astype(np.int64))
            whole.append(np.concatenate([cloud, rows[:, 6:7]], 1))
            labels.append(numbers.index(number))
    return ObjectSet(
        f"ShapeNetPart, {split}",
        np.stack(clouds),
        np.array(labels),
        tuple(name for name, _ in rows_of_catalogue),
        np.stack(parts),
        whole=tuple(whole),
    )


def _listed(folder: Path, part: str) -> list[tuple[Path, str]]:
    """Return the files of a list of ShapeNetPart, each with the number of its category."""
    path = folder / "train_test_split" / f"shuffled_{part}_file_list.json"
    try:
        names = json.loads("\n".join(read_lines(path)))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(names, list) or not all(str(name).count("/") >= 1 for name in names):
        raise ValueError(f"{path}: expected a list of names like shape_data/02691156/1a04e3eab")
    parts = [str(name).split("/")[-2:] for name in names]
    return [(folder / number / f"{name}.txt", number) for number, name in parts]


def _read_rows(path: Path, delimiter: str | None, columns: int) -> np.ndarray:
    """Read (N, columns or more) float32 numbers of a text file."""
    if not path.is_file():
        raise ValueError(f"{path} is not a file, expected it as in the published data set")
    try:
        rows = np.loadtxt(path, np.float32, delimiter=delimiter, ndmin=2)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if not len(rows) or rows.shape[1] < columns:
        raise ValueError(
            f"{path} has {len(rows)} rows of {rows.shape[1]} numbers, expected {columns} or more"
        )
    return rows


def _normalised(cloud: np.ndarray) -> np.ndarray:
    return unit_sphere(torch.from_numpy(np.ascontiguousarray(cloud))).numpy()

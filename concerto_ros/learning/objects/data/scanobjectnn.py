# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""ScanObjectNN (Uy et al., ICCV 2019) and the .h5 form of ModelNet40, as published."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from concerto_ros.learning.objects.data.object_set import ObjectSet, join
from concerto_ros.objects.words.zero_shot import SCANOBJECTNN_NAMES

#: Path of each variant below the folder ``h5_files``; "{}" is ``training`` or ``test``.
SCANOBJECTNN_FILES = {
    "obj_bg": "main_split/{}_objectdataset.h5",
    "obj_only": "main_split_nobg/{}_objectdataset.h5",
    "pb_t50_rs": "main_split/{}_objectdataset_augmentedrot_scale75.h5",
}


def read_scanobjectnn(folder: Path, split: str, variant: str) -> ObjectSet:
    """Read one split of a variant of ScanObjectNN, as stored: not normalised.

    The labels of the points are the file's mask, -1 for points that are not of the object; None
    where it has no mask.

    Args:
        folder: The published ``h5_files``.
        split: ``train`` or ``test``.
        variant: A key of :data:`SCANOBJECTNN_FILES`.

    Raises:
        ValueError: If a file is missing or wrong; the message names it.
        ImportError: If h5py is not installed.
    """
    if variant not in SCANOBJECTNN_FILES:
        raise ValueError(
            f"variant is {variant!r}, expected one of {', '.join(SCANOBJECTNN_FILES)}"
        )
    named = {"train": "training", "test": "test"}[check_split(split)]
    path = Path(folder) / SCANOBJECTNN_FILES[variant].format(named)
    return _read_file(path, f"ScanObjectNN {variant}, {split}", SCANOBJECTNN_NAMES)


def read_modelnet_h5(folder: Path, split: str) -> ObjectSet:
    """Read one split, ``train`` or ``test``, of ModelNet40 as in ``modelnet40_ply_hdf5_2048``.

    Its files are those that ``<split>_files.txt`` lists, in that order, all in ``folder``.

    Raises:
        ValueError: If a file is missing or wrong; the message names it.
        ImportError: If h5py is not installed.
    """
    folder = Path(folder)
    classes = tuple(read_lines(folder / "shape_names.txt"))
    name = f"ModelNet40, {check_split(split)}"
    files = [Path(line).name for line in read_lines(folder / f"{split}_files.txt")]
    return join(name, [_read_file(folder / file, name, classes) for file in files])


def check_split(split: str) -> str:
    """Return ``split`` if it is ``train`` or ``test``.

    Raises:
        ValueError: If it is neither.
    """
    if split not in ("train", "test"):
        raise ValueError(f"split is {split!r}, expected train or test")
    return split


def read_lines(path: Path) -> list[str]:
    """Read the lines of a text file that are not empty.

    Raises:
        ValueError: If the file does not exist or has no such lines.
    """
    if not path.is_file():
        raise ValueError(f"{path} is not a file, expected it as in the published data set")
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    lines = [line for line in lines if line]
    if not lines:
        raise ValueError(f"{path} is empty, expected the file of the published data set")
    return lines


def read_arrays(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Read those of the arrays ``names`` that an .h5 file has.

    Raises:
        ValueError: If the file is missing or damaged.
        ImportError: If h5py is not installed.
    """
    try:
        import h5py
    except ImportError as error:
        raise ImportError(
            f"{path}: .h5 files need h5py: pip install 'concerto_ros[objects]'"
        ) from error
    if not path.is_file():
        raise ValueError(f"{path} is not a file, expected it as in the published data set")
    try:
        with h5py.File(path, "r") as file:
            return {
                name: file[name][()] for name in names if isinstance(file.get(name), h5py.Dataset)
            }
    except (OSError, RuntimeError, KeyError) as error:
        raise ValueError(f"{path} cannot be read as HDF5: {error}") from error


def _read_file(path: Path, name: str, classes: tuple[str, ...]) -> ObjectSet:
    arrays = read_arrays(path, ("data", "label", "mask"))
    points, labels, mask = _checked(path, arrays)
    try:
        return ObjectSet(name, points, labels, classes, mask)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _checked(
    path: Path, arrays: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    for name in ("data", "label"):
        if name not in arrays:
            raise ValueError(f"{path} has no array {name!r}, expected 'data' and 'label'")
        if not np.issubdtype(arrays[name].dtype, np.number):
            raise ValueError(f"{path}: {name!r} is {arrays[name].dtype}, expected numbers")
    points = arrays["data"]
    if points.ndim != 3 or points.shape[2] < 3:
        raise ValueError(f"{path}: 'data' has shape {points.shape}, expected (objects, points, 3)")
    labels = arrays["label"].astype(np.int64).reshape(-1)
    mask = arrays.get("mask")
    if mask is not None:
        mask = mask.astype(np.int64)
    return points[..., :3].astype(np.float32), labels, mask

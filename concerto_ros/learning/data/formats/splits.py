# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Training, validation and test parts: by the names of folders, else a seeded hold-out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from concerto_ros.learning.data.formats.base import ScanDataset
from concerto_ros.learning.data.label_map import DataError
from concerto_ros.learning.data.layout_names import SPLITS

#: Folder names of each part.
FOLDERS = {
    "train": ("train", "training"),
    "val": ("val", "validation", "valid"),
    "test": ("test", "testing"),
}


def folder_parts(root: Path) -> dict[str, Path]:
    """The folders of ``root`` that have the name of a part, by part."""
    return {
        part: root / name
        for part, names in FOLDERS.items()
        for name in names
        if (root / name).is_dir()
    }


def part_of(data: ScanDataset, split: str, holdout: float, seed: int) -> ScanDataset:
    """Select a part of a data set.

    If the data set defines no ``val`` part, a share of its ``train`` part is held out for it, at
    least one scan: random ones, or the last ones if the scans are in the order of time. From a
    single scan nothing can be held out, and ``val`` is empty. Without a ``test`` part, ``test``
    is the same as ``val``.

    Args:
        data: The whole data set.
        split: ``train``, ``val``, ``test`` or ``all``.
        holdout: Share of the scans to hold out, 0 to less than 1; 0: none.
        seed: Random seed of the hold-out.

    Raises:
        DataError: The data set has scans to test on, but none to train on.
        ValueError: ``split`` or ``holdout`` is out of range.
    """
    if split not in SPLITS:
        raise ValueError(f"split is {split!r}, expected one of {', '.join(SPLITS)}")
    if not 0 <= holdout < 1:
        raise ValueError(f"holdout is {holdout}, expected 0 to less than 1")
    if split == "all":
        return data
    if split == "test" and "test" in data.parts:
        return data.subset(data.parts["test"])
    if split in ("val", "test") and "val" in data.parts:
        return data.subset(data.parts["val"])
    rows = data.parts.get("train", () if data.parts else range(len(data)))
    if not len(rows):
        have = " and ".join(data.parts)
        raise DataError(f"{data.root}: has scans for {have} only, expected some for train")
    if "val" in data.parts:
        return data.subset(rows)
    train, val = held_out_rows(rows, holdout, None if data.ordered else seed)
    return data.subset(train if split == "train" else val)


def held_out_rows(
    rows: Sequence[int], share: float, seed: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Rows to train on and rows held out, both sorted; without a seed the last are held out.

    From a single row nothing is held out.
    """
    count = min(max(1, round(share * len(rows))), len(rows) - 1) if share else 0
    order = np.asarray(rows)
    if seed is not None:
        order = np.random.default_rng(seed).permutation(order)
    border = len(order) - count
    return np.sort(order[:border]), np.sort(order[border:])

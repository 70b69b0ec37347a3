# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What to learn from and what to test on: folders named so, else a seeded hold-out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from concerto_ros.learning.data.formats.base import ScanDataset
from concerto_ros.learning.data.label_map import DataError

SPLITS = ("train", "val", "test", "all")

#: What the folders of each part are called.
FOLDERS = {
    "train": ("train", "training"),
    "val": ("val", "validation", "valid"),
    "test": ("test", "testing"),
}


def folder_parts(root: Path) -> dict[str, Path]:
    """The folders of ``root`` that are called as parts of a data set are."""
    return {
        part: root / name
        for part, names in FOLDERS.items()
        for name in names
        if (root / name).is_dir()
    }


def part_of(data: ScanDataset, split: str, holdout: float, seed: int) -> ScanDataset:
    """The ``train``, ``val``, ``test`` or ``all`` scans of a data set.

    Without a part named ``val`` a share ``holdout`` of ``train``, at least one scan, takes its
    place: drawn with ``seed``, or the last ones of scans in the order of time. Of a single scan
    nothing can be held out, so ``val`` is empty. Without a part named ``test`` it is ``val``.

    Raises DataError where there are scans to test on but none to learn from.
    """
    if split not in SPLITS:
        raise ValueError(f"split is {split!r}, expected one of {', '.join(SPLITS)}")
    if not 0 <= holdout < 1:
        raise ValueError(f"holdout is {holdout}, expected 0 up to but without 1")
    if split == "all":
        return data
    if split == "test" and "test" in data.parts:
        return data.subset(data.parts["test"])
    if split in ("val", "test") and "val" in data.parts:
        return data.subset(data.parts["val"])
    rows = data.parts.get("train", () if data.parts else range(len(data)))
    if not len(rows):
        have = " and ".join(data.parts)
        raise DataError(f"{data.root}: holds scans for {have} but none for train")
    train, val = _held_out(rows, holdout, None if data.ordered else seed)
    if "val" in data.parts:
        train = rows
    return data.subset(train if split == "train" else val)


def _held_out(
    rows: Sequence[int], share: float, seed: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Rows to learn from and rows held out, both in order; the last ones where seed is None."""
    rows = np.asarray(rows)
    count = min(max(1, round(share * len(rows))), len(rows) - 1) if share else 0
    if seed is not None:
        rows = np.random.default_rng(seed).permutation(rows)
    border = len(rows) - count
    return np.sort(rows[:border]), np.sort(rows[border:])

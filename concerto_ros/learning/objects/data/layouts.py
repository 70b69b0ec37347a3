# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Readers of data sets by the names that commands use."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from concerto_ros.learning.objects.data.object_set import ObjectSet
from concerto_ros.learning.objects.data.scanobjectnn import (
    SCANOBJECTNN_FILES,
    read_modelnet_h5,
    read_scanobjectnn,
)
from concerto_ros.learning.objects.data.synthetic import synthetic_objects
from concerto_ros.learning.objects.data.text_trees import read_modelnet_txt, read_shapenetpart

#: Objects of each class in the commands' synthetic benchmark.
SYNTHETIC_COUNTS = {"train": 60, "test": 20}


def _synthetic(folder: Path, split: str) -> ObjectSet:
    return synthetic_objects(folder, split, SYNTHETIC_COUNTS.get(split, 0))


#: Readers of one split, ``train`` or ``test``, of a folder.
LAYOUTS: dict[str, Callable[[Path, str], ObjectSet]] = {
    "synthetic": _synthetic,
    "modelnet40_h5": read_modelnet_h5,
    "modelnet40_txt": read_modelnet_txt,
    "shapenetpart": read_shapenetpart,
    **{
        f"scanobjectnn_{variant}": partial(read_scanobjectnn, variant=variant)
        for variant in SCANOBJECTNN_FILES
    },
}

#: Published few-shot folds, which have no splits; see ``published_folds``.
FEW_SHOT_LAYOUT = "modelnet40_few_shot"


def read_objects(layout: str, folder: Path, split: str) -> ObjectSet:
    """Read one split of the data set in ``folder``.

    Args:
        layout: A key of :data:`LAYOUTS`.
        folder: The published folder.
        split: ``train`` or ``test``.

    Raises:
        ValueError: If the layout is unknown, or a file is missing or wrong.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"layout is {layout!r}, expected one of {', '.join(LAYOUTS)}")
    return LAYOUTS[layout](Path(folder), split)

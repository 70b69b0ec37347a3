# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Readers of data sets by the names that commands use."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from concerto_ros.learning.objects.data.modelnet import read_modelnet_dat, read_modelnet_off
from concerto_ros.learning.objects.data.object_set import ObjectSet
from concerto_ros.learning.objects.data.scanobjectnn import (
    SCANOBJECTNN_FILES,
    read_modelnet_h5,
    read_scanobjectnn,
)
from concerto_ros.learning.objects.data.synthetic import synthetic_objects
from concerto_ros.learning.objects.data.text_trees import read_modelnet_txt, read_shapenetpart
from concerto_ros.learning.objects.names import LAYOUTS

#: Objects of each class in the commands' synthetic benchmark.
SYNTHETIC_COUNTS = {"train": 60, "test": 20}


def _synthetic(folder: Path, split: str) -> ObjectSet:
    return synthetic_objects(folder, split, SYNTHETIC_COUNTS.get(split, 0))


#: Readers of one split, ``train`` or ``test``, of a folder.
READERS: dict[str, Callable[[Path, str], ObjectSet]] = {
    "synthetic": _synthetic,
    "modelnet40_h5": read_modelnet_h5,
    "modelnet40_txt": read_modelnet_txt,
    "modelnet40_dat": read_modelnet_dat,
    "modelnet40_off": read_modelnet_off,
    "modelnet10_txt": partial(read_modelnet_txt, classes=10),
    "modelnet10_dat": partial(read_modelnet_dat, classes=10),
    "modelnet10_off": partial(read_modelnet_off, classes=10),
    "shapenetpart": read_shapenetpart,
    **{
        f"scanobjectnn_{variant}": partial(read_scanobjectnn, variant=variant)
        for variant in SCANOBJECTNN_FILES
    },
}


def read_objects(layout: str, folder: Path, split: str) -> ObjectSet:
    """Read one split of the data set in ``folder``.

    Args:
        layout: One of :data:`~concerto_ros.learning.objects.names.LAYOUTS`.
        folder: The published folder.
        split: ``train`` or ``test``.

    Raises:
        ValueError: If the layout is unknown, or a file is missing or wrong.
    """
    if layout not in READERS:
        raise ValueError(f"layout is {layout!r}, expected one of {', '.join(LAYOUTS)}")
    return READERS[layout](Path(folder), split)

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Labelled scans to learn from, in the layouts they come in."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from concerto_ros.learning.data.formats.bag_frames import BagScans
from concerto_ros.learning.data.formats.base import Cached, ScanDataset
from concerto_ros.learning.data.formats.pointcept import PointceptScans, scene_folders
from concerto_ros.learning.data.formats.scan_folder import FileScans, scan_files
from concerto_ros.learning.data.formats.semantickitti import SemanticKittiScans, sequence_folders
from concerto_ros.learning.data.formats.splits import SPLITS, part_of
from concerto_ros.learning.data.label_map import DataError, LabelMap

__all__ = ["LAYOUTS", "SPLITS", "Cached", "DataError", "ScanDataset", "open_dataset"]

#: Layouts of data sets with a line on each; ``auto`` tells them apart by their files.
LAYOUTS = {
    "files": "a folder of .npz or .ply files, one scan each, with a label per point",
    "pointcept": "Pointcept's: a folder per scene with coord.npy, color.npy, normal.npy, segment*",
    "semantickitti": "sequences/<number>/velodyne/*.bin and labels/*.label",
    "bag": "a bag with a labelled .ply map of the place beside it",
}


def open_dataset(
    path: str | Path,
    layout: str = "auto",
    label_map: LabelMap | str | Path | None = None,
    ignore_index: int | Collection[int] | None = None,
    *,
    split: str = "train",
    holdout: float = 0.2,
    seed: int = 0,
    label_field: str | None = None,
    map_file: str | Path | None = None,
    map_frame: str | None = None,
    every: float = 1.0,
    accumulate: int = 1,
    tolerance: float = 0.1,
    preset: str = "indoor",
) -> ScanDataset:
    """The scans of a folder or recording; they are read when asked for.

    Parameters
    ----------
    path: the data set, or a single scan of it.
    layout: one of :data:`LAYOUTS`, or ``auto``.
    label_map: what the values in the files mean (see :meth:`LabelMap.load`); None: the data set's
        published classes, or else the values are labels of classes without names. A file
        ``label_map.yaml`` in the folder is taken by itself.
    ignore_index: values in the files that are not learned; None: -1 and 255, and those that the
        data set's publishers leave out.
    split, holdout, seed: ``train``, ``val``, ``test`` or ``all``; see :func:`part_of`.
    label_field: name of the array or property of labels.
    map_file, map_frame, every, tolerance, preset: of a bag, see :class:`BagScans`.
    accumulate: scans in the order of time that are fused into one (bag, semantickitti).

    Raises
    ------
    DataError: naming the file and what is wrong in it.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder")
    if layout == "auto":
        layout = layout_of(path)
    if layout not in LAYOUTS:
        raise ValueError(f"layout is {layout!r}, expected auto, {', '.join(LAYOUTS)}")
    beside = path / "label_map.yaml"
    if label_map is None and beside.is_file():
        label_map = beside
    if label_map is not None and not isinstance(label_map, LabelMap):
        label_map = LabelMap.load(label_map)
    if isinstance(ignore_index, int):
        ignore_index = (ignore_index,)
    about = {"label_map": label_map, "ignore_index": ignore_index}
    if layout == "files":
        data = FileScans(path, label_field=label_field, **about)
    elif layout == "pointcept":
        data = PointceptScans(path, label_field=label_field, **about)
    elif layout == "semantickitti":
        data = SemanticKittiScans(path, accumulate=accumulate, **about)
    else:
        data = BagScans(
            path,
            label_field=label_field,
            map_file=None if map_file is None else Path(map_file),
            map_frame=map_frame,
            every=every,
            accumulate=accumulate,
            tolerance=tolerance,
            preset=preset,
            **about,
        )
    return part_of(data, split, holdout, seed)


def layout_of(path: Path) -> str:
    """The layout of a data set, by the files in it."""
    suffixes = (".db3", ".mcap")
    if path.is_file():
        return "bag" if path.suffix in suffixes else "files"
    bags = [*path.glob("metadata.yaml"), *path.glob("*/metadata.yaml")]
    bags += [found for suffix in suffixes for found in path.glob(f"*{suffix}")]
    if bags:
        return "bag"
    if sequence_folders(path):
        return "semantickitti"
    if scene_folders(path):
        return "pointcept"
    if scan_files(path):
        return "files"
    wanted = "; ".join(f"{name}: {text}" for name, text in LAYOUTS.items())
    raise DataError(f"{path}: holds no labelled scans in a layout that is known ({wanted})")

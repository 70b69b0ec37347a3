# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Data sets of labelled scans in several file layouts."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from pathlib import Path

from concerto_ros.bags.storage.recording_files import is_bag
from concerto_ros.files.listing import visible
from concerto_ros.learning.data.formats import nuscenes, pointcept, s3dis, scannet, scannetpp
from concerto_ros.learning.data.formats.bag_frames import BagScans
from concerto_ros.learning.data.formats.base import Cached, ScanDataset
from concerto_ros.learning.data.formats.efficient import restricted
from concerto_ros.learning.data.formats.scan_folder import FileScans, scan_files
from concerto_ros.learning.data.formats.semantickitti import SemanticKittiScans, sequence_folders
from concerto_ros.learning.data.formats.splits import part_of
from concerto_ros.learning.data.label_map import DataError, LabelMap
from concerto_ros.learning.data.layout_names import LAYOUTS, SPLITS

#: Layouts whose arrays or columns of labels can be chosen by name.
WITH_FIELDS: dict[str, Callable[..., ScanDataset]] = {
    "files": FileScans,
    "pointcept": pointcept.PointceptScans,
    "scannet": scannet.ScanNetScans,
}

#: Layouts of published data sets that say themselves where labels are.
PUBLISHED: dict[str, Callable[..., ScanDataset]] = {
    "nuscenes": nuscenes.NuScenesScans,
    "s3dis": s3dis.S3disScans,
    "scannetpp": scannetpp.ScanNetPPScans,
}

#: Layouts whose points may have an intensity.
WITH_INTENSITY = ("files", "pointcept", "nuscenes", "semantickitti", "bag")

#: Layouts in the order in which they are looked for, and what a folder of one must have.
DETECTED = {
    "semantickitti": sequence_folders,
    "nuscenes": nuscenes.table_folders,
    "scannet": scannet.scene_folders,
    "scannetpp": scannetpp.scene_folders,
    "s3dis": s3dis.room_folders,
    "pointcept": pointcept.scene_folders,
    "files": scan_files,
}

__all__ = ["LAYOUTS", "SPLITS", "Cached", "DataError", "ScanDataset", "open_dataset"]


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
    subset: str | None = None,
    intensity_white: float = 0.0,
) -> ScanDataset:
    """Open the labelled scans of a folder or recording; each is read when it is indexed.

    Args:
        path: The data set, or a single scan of it.
        layout: One of :data:`LAYOUTS`, or ``auto``.
        label_map: Meaning of the values in the files (see :meth:`LabelMap.load`); None: the file
            ``label_map.yaml`` in the folder (of a single file: its folder) if it exists, else the
            data set's published classes, else the values are labels of unnamed classes.
        ignore_index: Values in the files that are not learned; None: -1, 255 and those that the
            data set's publishers exclude.
        split: ``train``, ``val``, ``test`` or ``all``; see :func:`part_of`.
        holdout: Share of scans that are held out if there is no ``val`` part.
        seed: Random seed of the hold-out.
        label_field: Name of the array or property of labels.
        map_file: Of a bag, see :class:`BagScans`.
        map_frame: Of a bag.
        every: Of a bag.
        accumulate: Number of successive scans that are fused into one (bag, semantickitti).
        tolerance: Of a bag.
        preset: Of a bag.
        subset: Of split ``train`` only the scenes, or the labels, that a list chooses; see
            :func:`restricted`. None: all.
        intensity_white: Intensity that is white where it takes the place of colours; 0: it does
            not.

    Raises:
        DataError: A file is missing or invalid; names the file and the fault.
        ValueError: An argument is out of range.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path}: the file or folder does not exist")
    if layout == "auto":
        layout = layout_of(path)
    if layout not in LAYOUTS:
        raise ValueError(f"layout is {layout!r}, expected auto, {', '.join(LAYOUTS)}")
    beside = (path.parent if path.is_file() else path) / "label_map.yaml"
    if label_map is None and beside.is_file():
        label_map = beside
    if label_map is not None and not isinstance(label_map, LabelMap):
        label_map = LabelMap.load(label_map)
    if isinstance(ignore_index, int):
        ignore_index = (ignore_index,)
    if not 0 <= intensity_white < math.inf:
        raise ValueError(f"intensity_white is {intensity_white}, expected 0 or more")
    if intensity_white and layout not in WITH_INTENSITY:
        raise DataError(
            f"{path}: data of the layout {layout} have no intensity, expected one of"
            f" {', '.join(WITH_INTENSITY)} for --intensity-white"
        )
    data: ScanDataset
    if layout in WITH_FIELDS:
        data = WITH_FIELDS[layout](path, label_map, ignore_index, label_field)
    elif layout in PUBLISHED:
        data = PUBLISHED[layout](path, label_map, ignore_index)
    elif layout == "semantickitti":
        data = SemanticKittiScans(path, label_map, ignore_index, accumulate)
    else:
        data = BagScans(
            path,
            label_map,
            ignore_index,
            label_field,
            map_file=None if map_file is None else Path(map_file),
            map_frame=map_frame,
            every=every,
            accumulate=accumulate,
            tolerance=tolerance,
            preset=preset,
            intensity_white=intensity_white,
        )
    data.intensity_white = intensity_white
    part = part_of(data, split, holdout, seed)
    return part if subset is None or split != "train" else restricted(part, subset)


def layout_of(path: Path) -> str:
    """Detect the layout of a data set from its files.

    Raises:
        DataError: The files are of no known layout.
    """
    if path.is_file():
        return "bag" if is_bag(path) else "files"
    if is_bag(path) or visible(path.glob("*/metadata.yaml"), path):
        return "bag"
    for layout, found in DETECTED.items():
        if found(path):
            return layout
    layouts = "; ".join(f"{name}: {text}" for name, text in LAYOUTS.items())
    raise DataError(f"{path}: holds no labelled scans, expected one of the layouts {layouts}")

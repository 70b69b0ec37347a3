# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Data sets of labelled scans in several file layouts."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from concerto_ros.bags.storage.recording_files import is_bag
from concerto_ros.learning.data.formats import nuscenes, pointcept, s3dis, scannet, scannetpp
from concerto_ros.learning.data.formats.bag_frames import BagScans, holds_bags
from concerto_ros.learning.data.formats.base import Cached, ScanDataset
from concerto_ros.learning.data.formats.efficient import restricted
from concerto_ros.learning.data.formats.scan_folder import FileScans, scan_files
from concerto_ros.learning.data.formats.semantickitti import SemanticKittiScans, sequence_folders
from concerto_ros.learning.data.formats.splits import part_of
from concerto_ros.learning.data.label_map import DataError, LabelMap
from concerto_ros.learning.data.layout_names import SPLITS


@dataclass(frozen=True)
class Layout:
    """One layout of files.

    Attributes:
        files: What the data set consists of, for messages.
        detect: Whether a folder has this layout: false, or empty, if not.
        scans: Makes the data set of a path, a label map, the values that are not learned and the
            ``options``.
        options: Arguments of :func:`open_dataset` that ``scans`` takes as well, by name.
        intensity: Whether the points may have an intensity.
    """

    files: str
    detect: Callable[[Path], object]
    scans: Callable[..., ScanDataset]
    options: tuple[str, ...] = ()
    intensity: bool = False


#: The layouts by name, in the order in which they are looked for.
LAYOUTS = {
    "bag": Layout(
        "a bag with a labelled .ply map of the place beside it",
        holds_bags,
        BagScans,
        (
            *("label_field", "map_file", "map_frame", "every", "accumulate"),
            *("tolerance", "preset", "intensity_white"),
        ),
        intensity=True,
    ),
    "semantickitti": Layout(
        "sequences/<number>/velodyne/*.bin and labels/*.label",
        sequence_folders,
        SemanticKittiScans,
        ("accumulate",),
        intensity=True,
    ),
    "nuscenes": Layout(
        "nuScenes-lidarseg as downloaded: v1.0-*/*.json, samples/LIDAR_TOP, lidarseg",
        nuscenes.table_folders,
        nuscenes.NuScenesScans,
        intensity=True,
    ),
    "scannet": Layout(
        "ScanNet as downloaded: scans/<scene>/<scene>_vh_clean_2.ply and its annotations",
        scannet.scene_folders,
        scannet.ScanNetScans,
        ("label_field",),
    ),
    "scannetpp": Layout(
        "ScanNet++ as downloaded: data/<scene>/scans/mesh_aligned_0.05.ply, metadata",
        scannetpp.scene_folders,
        scannetpp.ScanNetPPScans,
    ),
    "s3dis": Layout(
        "S3DIS as downloaded: Area_<n>/<room>/Annotations/<object>.txt",
        s3dis.room_folders,
        s3dis.S3disScans,
    ),
    "pointcept": Layout(
        "Pointcept's: a folder per scene with coord.npy, color.npy, normal.npy, segment*",
        pointcept.scene_folders,
        pointcept.PointceptScans,
        ("label_field",),
        intensity=True,
    ),
    "files": Layout(
        "a folder of .npz, .ply, .pcd or .las files, one scan each, with a label per point",
        scan_files,
        FileScans,
        ("label_field",),
        intensity=True,
    ),
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
    if intensity_white and not LAYOUTS[layout].intensity:
        having = ", ".join(name for name, each in LAYOUTS.items() if each.intensity)
        raise DataError(
            f"{path}: data of the layout {layout} have no intensity, expected one of {having}"
            " for --intensity-white"
        )
    given: dict[str, object] = {
        "label_field": label_field,
        "map_file": map_file,
        "map_frame": map_frame,
        "every": every,
        "accumulate": accumulate,
        "tolerance": tolerance,
        "preset": preset,
        "intensity_white": intensity_white,
    }
    options = {name: given[name] for name in LAYOUTS[layout].options}
    data = LAYOUTS[layout].scans(path, label_map, ignore_index, **options)
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
    for name, layout in LAYOUTS.items():
        if layout.detect(path):
            return name
    layouts = "; ".join(f"{name}: {layout.files}" for name, layout in LAYOUTS.items())
    raise DataError(f"{path}: holds no labelled scans, expected one of the layouts {layouts}")

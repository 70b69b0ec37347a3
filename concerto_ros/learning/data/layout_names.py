# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Names of data set layouts and parts, known without reading anything."""

from __future__ import annotations

#: Layouts of data sets with a description; ``auto`` detects the layout from the files.
LAYOUTS = {
    "files": "a folder of .npz, .ply, .pcd or .las files, one scan each, with a label per point",
    "pointcept": "Pointcept's: a folder per scene with coord.npy, color.npy, normal.npy, segment*",
    "scannet": "ScanNet as downloaded: scans/<scene>/<scene>_vh_clean_2.ply and its annotations",
    "scannetpp": "ScanNet++ as downloaded: data/<scene>/scans/mesh_aligned_0.05.ply, metadata",
    "s3dis": "S3DIS as downloaded: Area_<n>/<room>/Annotations/<object>.txt",
    "nuscenes": "nuScenes-lidarseg as downloaded: v1.0-*/*.json, samples/LIDAR_TOP, lidarseg",
    "semantickitti": "sequences/<number>/velodyne/*.bin and labels/*.label",
    "bag": "a bag with a labelled .ply map of the place beside it",
}

#: Parts of a data set.
SPLITS = ("train", "val", "test", "all")

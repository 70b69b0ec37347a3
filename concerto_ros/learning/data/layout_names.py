# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Names of data set layouts and parts, known without reading anything."""

from __future__ import annotations

#: Layouts of data sets; :mod:`concerto_ros.learning.data.formats` describes them.
LAYOUT_NAMES = (
    "files",
    "pointcept",
    "scannet",
    "scannetpp",
    "s3dis",
    "nuscenes",
    "semantickitti",
    "bag",
)

#: Parts of a data set.
SPLITS = ("train", "val", "test", "all")

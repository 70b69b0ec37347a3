# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The benchmarks that published encoders were trained for and evaluated on."""

from __future__ import annotations

from enum import Enum


class Benchmark(Enum):
    """A data set with its published protocols; three of them are splits of ScanObjectNN."""

    MODELNET40 = "modelnet40"
    MODELNET10 = "modelnet10"
    OBJ_BG = "scanobjectnn_obj_bg"
    OBJ_ONLY = "scanobjectnn_obj_only"
    #: ScanObjectNN's hardest split.
    PB_T50_RS = "scanobjectnn_pb_t50_rs"
    #: Data that nobody published numbers for.
    OTHER = "other"

    @property
    def modelnet(self) -> bool:
        """Whether it is ModelNet40 or ModelNet10: whole surfaces of models."""
        return self in (Benchmark.MODELNET40, Benchmark.MODELNET10)

    @property
    def scanned(self) -> bool:
        """Whether it is a split of ScanObjectNN: 15 classes, 2048 points of each object."""
        return self.value.startswith("scanobjectnn")

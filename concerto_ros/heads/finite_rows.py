# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which rows of features or scores are finite: float16 overflows above 65504."""

from __future__ import annotations

import torch

from concerto_ros.ptv3.encoder import Pyramid


def finite_rows(values: torch.Tensor) -> torch.Tensor:
    """Return which rows of (N, C) ``values`` are finite, (N,) bool."""
    # A sum takes a tenth of the time of checking every number; in float32, as float16 overflows.
    return values.sum(dim=1, dtype=torch.float32).isfinite()


def finite_voxels(pyramid: Pyramid) -> torch.Tensor:
    """Return which input rows have finite features on every level, (N,) bool."""
    finite = finite_rows(pyramid.top.feat)
    levels = zip(reversed(pyramid.clusters), reversed(pyramid.feats[:-1]), strict=True)
    for cluster, feat in levels:
        finite = finite.index_select(0, cluster) & finite_rows(feat)
    return finite

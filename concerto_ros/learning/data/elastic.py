# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Smooth random displacement of space, for elastic distortion (after Choy et al., CVPR 2019)."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

#: Grid values per axis at most; in a scene wider than that the noise is mirrored back and forth.
MAX_CELLS = 64


def smooth_noise(points: np.ndarray, grain: float, random: np.random.Generator) -> np.ndarray:
    """(N, 3) float32: at each point a vector that changes slowly from place to place.

    Gaussian noise of unit variance on a grid of ``grain`` metres, twice blurred by a mean of three
    along each axis, and trilinear in between.
    """
    place = (points.astype(np.float64) - points.min(axis=0)) / grain
    size = np.minimum(place.max(axis=0) + 3, MAX_CELLS).astype(int)
    noise = torch.from_numpy(random.standard_normal((1, 3, *size), np.float32))
    for _ in range(2):
        noise = F.avg_pool3d(noise, kernel_size=3, stride=1, padding=1)
    # grid_sample wants -1..1 from the first value to the last, the last axis first
    share = torch.from_numpy((place / (size - 1) * 2 - 1).astype(np.float32))
    where = share.flip(1)[None, :, None, None]
    sampled = F.grid_sample(
        noise, where, mode="bilinear", padding_mode="reflection", align_corners=True
    )
    return sampled[0, :, :, 0, 0].T.contiguous().numpy()

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Smooth random displacement field for elastic distortion (after Choy et al., CVPR 2019)."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

#: Maximum grid size per axis; in a wider scene the noise is continued by reflection.
MAX_CELLS = 64


def smooth_noise(points: np.ndarray, grain: float, random: np.random.Generator) -> np.ndarray:
    """Sample a smooth random vector field at ``points``.

    The field is Gaussian noise of unit variance on a grid, blurred twice by a mean filter of size
    three along each axis, and interpolated trilinearly.

    Args:
        points: (N, 3) positions, metres.
        grain: Cell size of the grid, metres.
        random: Source of the noise.

    Returns:
        (N, 3) float32 vectors, without unit.
    """
    cell = (points.astype(np.float64) - points.min(axis=0)) / grain
    size = np.minimum(cell.max(axis=0) + 3, MAX_CELLS).astype(int)
    noise = random.standard_normal((3, *size), np.float32)
    return smoothed_at(noise.transpose(1, 2, 3, 0), cell)


def smoothed_at(noise: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Blur noise on a grid and sample it.

    Args:
        noise: (X, Y, Z, 3) on the grid.
        cell: (N, 3) fractional places on the grid, in cells.

    Returns:
        (N, 3) float32.
    """
    size = np.array(noise.shape[:3])
    field = torch.from_numpy(np.asarray(noise, np.float32)).permute(3, 0, 1, 2)[None]
    for _ in range(2):
        field = F.avg_pool3d(field, kernel_size=3, stride=1, padding=1)
    # grid_sample takes -1..1 from the first grid value to the last, with the last axis first
    normalised = torch.from_numpy((cell / (size - 1) * 2 - 1).astype(np.float32))
    grid = normalised.flip(1)[None, :, None, None]
    sampled = F.grid_sample(
        field, grid, mode="bilinear", padding_mode="reflection", align_corners=True
    )
    return sampled[0, :, :, 0, 0].T.contiguous().numpy()

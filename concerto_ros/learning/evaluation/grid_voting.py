# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Test-time augmentation: class probabilities averaged over several offsets of the voxel grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from concerto_ros.learning.data.batch import Batch, make_batch
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.segmentation.convention import Convention


def grid_phases(count: int) -> np.ndarray:
    """Offsets of the voxel grid: the Halton sequence of bases 2, 3 and 5.

    It covers the voxel evenly for any ``count``.

    Returns:
        (count, 3) float64 offsets as shares of a voxel, 0 to less than 1; the first is zero.

    Raises:
        ValueError: ``count`` is less than 1.
    """
    if count < 1:
        raise ValueError(f"phases is {count}, expected 1 or more")
    phases = np.zeros((count, 3))
    for axis, base in enumerate((2, 3, 5)):
        rest, digit_weight = np.arange(count), 1.0
        while rest.any():
            digit_weight /= base
            phases[:, axis] += rest % base * digit_weight
            rest //= base
    return phases


@torch.inference_mode()
def vote_over_grids(
    model: Callable[[Batch], torch.Tensor],
    scan: Scan,
    convention: Convention,
    voxel_size: float,
    phases: int = 1,
    device: torch.device | str = "cpu",
) -> np.ndarray:
    """Average the class probabilities of each point over several offsets of the voxel grid.

    Args:
        model: Returns (V, classes) logits of a batch's voxels.
        scan: The scan; each of its points gets the probabilities of the voxel it is in.
        convention: Scale and centre of the coordinates.
        voxel_size: Metres.
        phases: Number of offsets; 1: the plain evaluation.
        device: Where the model is.

    Returns:
        (N, classes) float32 probabilities; NaN for a point that lies alone below the floor
        in every grid.
    """
    total: np.ndarray | float = 0.0
    for phase in grid_phases(phases):
        shift = (phase * voxel_size).astype(np.float32)
        shifted = replace(scan, points=scan.points + shift)
        batch = make_batch([shifted], convention, voxel_size)
        probabilities = model(batch.to(device)).float().softmax(dim=1).cpu().numpy()
        total = total + batch.at_points(probabilities, fill=0.0)
    mean = np.asarray(total / np.float32(phases)).astype(np.float32)
    mean[~mean.any(axis=1)] = np.nan
    return mean

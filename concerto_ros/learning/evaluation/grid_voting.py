# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Test-time augmentation: class probabilities averaged over voxel grids and views of a scan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import torch

from concerto_ros.learning.data.augment import select
from concerto_ros.learning.data.batch import Batch, make_batch
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.learning.evaluation.views import VIEWS, View, fragments
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
    *,
    views: Sequence[View] = VIEWS[1],
    every_point: bool = False,
) -> np.ndarray:
    """Average the class probabilities of each point over views and offsets of the voxel grid.

    Args:
        model: Returns (V, classes) logits of a batch's voxels.
        scan: The scan; each of its points gets the probabilities of the voxel it is in.
        convention: Scale and centre of the coordinates.
        voxel_size: Metres.
        phases: Number of offsets, of each view; 1: the plain evaluation.
        device: Where the model is.
        views: The views, one of :data:`VIEWS`.
        every_point: Whether a voxel is each of its points in turn, instead of their mean, as
            Pointcept evaluates: as many runs as the fullest voxel has points.

    Returns:
        (N, classes) float32: for each point the mean over all grids in which a model saw it; NaN
        for a point that lies alone below the floor in every grid.
    """
    total: np.ndarray | None = None
    times = np.zeros((len(scan), 1), np.float32)
    for view, phase in product(views, grid_phases(phases)):
        seen = view(scan)
        seen = replace(seen, points=seen.points + (phase * voxel_size).astype(np.float32))
        for rows in fragments(seen.points, voxel_size) if every_point else (np.arange(len(seen)),):
            part = select(seen, rows) if every_point else seen
            batch = make_batch([part], convention, voxel_size)
            probabilities = model(batch.to(device)).float().softmax(dim=1).cpu().numpy()
            if total is None:
                total = np.zeros((len(scan), probabilities.shape[1]), np.float32)
            total[rows] += batch.at_points(probabilities, fill=0.0)
            times[rows] += batch.inverse[0][:, None] >= 0
    assert total is not None  # there is at least one view
    return np.divide(total, times, out=np.full_like(total, np.nan), where=times > 0)

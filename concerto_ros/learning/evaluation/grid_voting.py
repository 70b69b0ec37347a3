# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Labels for the original points of a scan, by a vote over several places of the voxel grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from concerto_ros.learning.data.batch import Batch, make_batch
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.segmentation.convention import Convention


def grid_phases(count: int) -> np.ndarray:
    """(count, 3) float64 shares of a voxel by which the grid is shifted; the first is zero.

    They fill the voxel evenly however many there are: the Halton sequence of bases 2, 3 and 5.
    """
    if count < 1:
        raise ValueError(f"phases is {count}, expected 1 or more")
    phases = np.zeros((count, 3))
    for axis, base in enumerate((2, 3, 5)):
        rest, share = np.arange(count), 1.0
        while rest.any():
            share /= base
            phases[:, axis] += rest % base * share
            rest //= base
    return phases


@torch.inference_mode()
def vote(
    model: Callable[[Batch], torch.Tensor],
    scan: Scan,
    convention: Convention,
    voxel_size: float,
    phases: int = 1,
    device: torch.device | str = "cpu",
) -> np.ndarray:
    """(N, classes) float32: for each point of the scan the mean probability over all phases.

    ``model`` gives (V, classes) logits of a batch's voxels. Each phase shifts the grid by another
    part of ``voxel_size`` (metres), and each point takes what the voxel it lies in gets. With one
    phase this is the plain evaluation.
    """
    total = 0.0
    for phase in grid_phases(phases):
        shift = (phase * voxel_size).astype(np.float32)
        shifted = replace(scan, points=scan.points + shift)
        batch = make_batch([shifted], convention, voxel_size)
        probabilities = model(batch.to(device)).float().softmax(dim=1).cpu().numpy()
        total = total + probabilities[batch.inverse[0]]
    return (total / np.float32(phases)).astype(np.float32)

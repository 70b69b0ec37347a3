# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Masks of the student's global views: whole cells of space are hidden."""

from __future__ import annotations

import torch

from concerto_ros.learning.pretraining.matching import view_of_rows, view_ranges


def cells_of_points(coord: torch.Tensor, offset: torch.Tensor, size: float) -> torch.Tensor:
    """Number the occupied cells of a batch of views.

    Args:
        coord: (N, 3) augmented coordinates, metres.
        offset: (B,) cumulative sizes of the views.
        size: Edge of a cell, metres; cells begin at the minimum of their view.

    Returns:
        (N,) int64, the cell of each point; cells are numbered in the order of (view, x, y, z).
    """
    low = torch.zeros_like(coord)
    for start, end in view_ranges(offset):
        if start < end:
            low[start:end] = coord[start:end].amin(dim=0)
    cell = torch.floor((coord - low) / size).long()
    keys = torch.cat([view_of_rows(offset)[:, None], cell], dim=1)
    return torch.unique(keys, dim=0, return_inverse=True)[1]


def mask_of_points(cells: torch.Tensor, permutation: torch.Tensor, ratio: float) -> torch.Tensor:
    """Hide the points of the first cells of a random order.

    The ratio holds for all cells of the batch, not for each view.

    Args:
        cells: (N,) as of :func:`cells_of_points`.
        permutation: (number of cells,) a random order of all cells.
        ratio: Share of cells to hide, rounded down to whole cells.

    Returns:
        (N,) bool, true for hidden points.
    """
    hidden = torch.zeros(len(permutation), dtype=torch.bool, device=cells.device)
    hidden[permutation[: int(ratio * len(permutation))]] = True
    return hidden[cells]


def jitter_masked(
    coord: torch.Tensor, mask: torch.Tensor, noise: torch.Tensor, sigma: float
) -> torch.Tensor:
    """Move hidden points at random, so that their places do not tell the surface.

    As published the noise is clipped at ``2 sigma`` above and not below.

    Args:
        coord: (N, 3) metres.
        mask: (N,) bool, M of them true.
        noise: (M, 3) standard normal numbers, for the hidden points in their order.
        sigma: Metres.

    Returns:
        (N, 3), a copy.
    """
    moved = coord.clone()
    moved[mask] += (noise * sigma).clamp(max=2 * sigma).to(coord)
    return moved

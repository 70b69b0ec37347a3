# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which rows of two views show the same place: nearest neighbours before any augmentation.

Views of a batch lie one after the other, told apart by cumulative sizes (an offset).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.spatial import cKDTree


def match_views(
    coord: torch.Tensor,
    offset: torch.Tensor,
    other_coord: torch.Tensor,
    other_offset: torch.Tensor,
    radius: float,
) -> torch.Tensor:
    """Find the nearest row of the partner view for each row.

    With as many other views, view v is matched with other view v; with fewer, several views that
    follow each other share one, as four local views share the major view of their scene.

    Args:
        coord: (N, 3) metres, as they were before augmentation.
        offset: (B,) cumulative sizes of the views.
        other_coord: (M, 3) likewise of the other views.
        other_offset: (C,) their cumulative sizes; B is a multiple of C.
        radius: Metres; rows without another row nearer than this are left out.

    Returns:
        (P, 2) int64 rows of the first and of the second, ascending in the first.

    Raises:
        ValueError: B is no multiple of C.
    """
    if not len(other_offset) or len(offset) % len(other_offset):
        raise ValueError(
            f"{len(offset)} views cannot be matched with {len(other_offset)}, expected a multiple"
        )
    each = len(offset) // len(other_offset)
    points = coord.detach().cpu().double().numpy()
    others = other_coord.detach().cpu().double().numpy()
    ranges, other_ranges = view_ranges(offset), view_ranges(other_offset)
    pairs = [np.zeros((0, 2), np.int64)]
    for view, (start, end) in enumerate(ranges):
        first, last = other_ranges[view // each]
        if start == end or first == last:
            continue
        distance, nearest = cKDTree(others[first:last]).query(points[start:end])
        rows = np.flatnonzero(distance < radius)
        pairs.append(np.stack([rows + start, nearest[rows] + first], axis=1))
    return torch.from_numpy(np.concatenate(pairs)).to(coord.device)


def rows_of_views(offset: torch.Tensor, views: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """The rows of some views, in the order of these views.

    Args:
        offset: (B,) cumulative sizes of all views.
        views: Numbers of views.

    Returns:
        (N,) int64 rows, and (len(views),) int64 cumulative sizes of the chosen views.
    """
    ranges = view_ranges(offset)
    rows = [torch.arange(*ranges[view]) for view in views]
    sizes = torch.tensor([len(part) for part in rows], dtype=torch.int64)
    empty = torch.zeros(0, dtype=torch.int64)
    chosen = torch.cat([empty, *rows])
    return chosen.to(offset.device), sizes.cumsum(0).to(offset.device)


def view_of_rows(offset: torch.Tensor) -> torch.Tensor:
    """The view of each row, (N,) int64, of cumulative sizes (B,)."""
    sizes = torch.diff(offset, prepend=offset.new_zeros(1))
    return torch.repeat_interleave(torch.arange(len(offset), device=offset.device), sizes)


def view_ranges(offset: torch.Tensor) -> list[tuple[int, int]]:
    """First and last row (exclusive) of each view."""
    ends = [int(end) for end in offset]
    return list(zip([0, *ends], ends, strict=False))

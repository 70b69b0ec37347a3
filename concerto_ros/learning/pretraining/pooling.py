# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Values of points at coarser levels of a pyramid."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def pool_means(
    values: torch.Tensor, clusters: Sequence[torch.Tensor], levels: int
) -> torch.Tensor:
    """Means over the rows of each coarser row, level by level: means of means.

    Args:
        values: (V_0, C) float, at the finest level.
        clusters: Between each two levels, finest first, (V_l,) int64: the coarser row of each.
        levels: How many levels up.

    Returns:
        (V_levels, C).
    """
    for cluster in clusters[:levels]:
        values = _means(values, cluster, torch.ones_like(values))
    return values


def pool_patches(
    patches: torch.Tensor, clusters: Sequence[torch.Tensor], levels: int
) -> torch.Tensor:
    """Pool places in images, for each image over those rows that it sees.

    Args:
        patches: (V_0, I, 2) fractional row and column in each of I images; -1: not seen.
        clusters: As for :func:`pool_means`.
        levels: How many levels up.

    Returns:
        (V_levels, I, 2), -1 where an image sees no row.
    """
    for cluster in clusters[:levels]:
        seen = (patches >= 0).all(dim=2, keepdim=True).expand_as(patches).to(patches)
        count = _sums(seen, cluster)
        sums = _sums(patches * seen, cluster)
        patches = torch.where(count > 0, sums / count.clamp(min=1), -1.0)
    return patches


def pool_offset(
    offset: torch.Tensor, view: torch.Tensor, clusters: Sequence[torch.Tensor], levels: int
) -> torch.Tensor:
    """Cumulative sizes of the views at a coarser level.

    Args:
        offset: (B,) at the finest level.
        view: (V_0,) int64, the view of each row of the finest level.
        clusters: As for :func:`pool_means`.
        levels: How many levels up.
    """
    for cluster in clusters[:levels]:
        coarser = view.new_zeros(_count(cluster))
        coarser[cluster] = view
        view = coarser
    return torch.bincount(view, minlength=len(offset)).cumsum(0)


def _means(values: torch.Tensor, cluster: torch.Tensor, ones: torch.Tensor) -> torch.Tensor:
    return _sums(values, cluster) / _sums(ones, cluster)


def _sums(values: torch.Tensor, cluster: torch.Tensor) -> torch.Tensor:
    sums = values.new_zeros(_count(cluster), *values.shape[1:])
    return sums.index_add(0, cluster, values)


def _count(cluster: torch.Tensor) -> int:
    return int(cluster.max()) + 1 if len(cluster) else 0

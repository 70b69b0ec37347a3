# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pooling the voxels of a level to those of a coarser one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch

from concerto_ros.ptv3.kernels.measured import choices, package


class LevelPooling(Protocol):
    """How the voxels of a finer level are pooled to those of a coarser one."""

    @property
    def cluster(self) -> torch.Tensor:
        """Row of the coarser level that holds each row of the finer one, (N_fine,) int64."""

    def reduce(self, values: torch.Tensor, how: str) -> torch.Tensor:
        """Reduce (N_fine, C) float values to (N, C), by ``max`` or ``mean``."""


@dataclass(frozen=True, eq=False)
class Pooling:
    """The voxels of the finer level that belong to each voxel of this one.

    Attributes:
        cluster: (N_fine,) int64, row of this level that holds each row of the finer one.
        order: (N_fine,) int64, rows of the finer level sorted by cluster.
        starts: (N + 1,) int64, where each cluster begins in ``order``, and the last one ends;
            none is empty.
    """

    cluster: torch.Tensor
    order: torch.Tensor
    starts: torch.Tensor

    @property
    def sizes(self) -> torch.Tensor:
        """Rows of the finer level in each cluster, (N,) int64."""
        return torch.diff(self.starts)

    def reduce(self, values: torch.Tensor, how: str) -> torch.Tensor:
        """Reduce (N_fine, C) float values to (N, C), by ``max`` or ``mean`` over each cluster."""
        ordered = values.index_select(0, self.order)
        if how == "max" and (chosen := choices(values.device).reduction):
            scatter = package(chosen)
            if scatter is not None:
                return scatter.segment_csr(ordered, self.starts, reduce=how)
        return torch.segment_reduce(ordered, how, offsets=self.starts, axis=0, unsafe=True)


@dataclass(frozen=True, eq=False)
class PaddedPooling:
    """Pooling whose shapes follow from those of its levels.

    Attributes:
        cluster: as in :class:`Pooling`.
        members: (N, K) int64, rows of the finer level in each cluster, one of them repeated.
    """

    cluster: torch.Tensor
    members: torch.Tensor

    def reduce(self, values: torch.Tensor, how: str) -> torch.Tensor:
        """Reduce (N_fine, C) float to (N, C) by ``max``; a mean would count repeated rows twice.

        Raises:
            ValueError: ``how`` is not ``max``.
        """
        if how != "max":
            raise ValueError(f"how is {how!r}, expected 'max'")
        gathered = values.index_select(0, self.members.flatten())
        return gathered.unflatten(0, self.members.shape).amax(1)


def pooled_members(pooling: Pooling, members: int) -> torch.Tensor:
    """Return (N, members) int64, the finer rows in each voxel; the last of them is repeated.

    Args:
        pooling: of N voxels.
        members: at least as many as any of them holds.
    """
    starts = pooling.starts
    step = torch.arange(members, device=starts.device)
    return pooling.order.take(torch.minimum(starts[:-1, None] + step, starts[1:, None] - 1))

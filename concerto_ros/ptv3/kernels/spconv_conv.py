# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Submanifold convolution by spconv, an optional package; for inference only."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from spconv.pytorch import SparseConvTensor, SubMConv3d
from torch.func import functional_call


@dataclass(frozen=True, eq=False)
class SpconvNeighbours:
    """The voxels of a level in spconv's form; spconv finds the neighbours at first use.

    Attributes:
        voxels: with indices (N, 4) int32 (batch, x, y, z) and no features.
    """

    voxels: SparseConvTensor

    def convolve(
        self, feat: torch.Tensor, matrices: torch.Tensor, bias: torch.Tensor
    ) -> torch.Tensor:
        """Convolve features; bfloat16, which spconv does not have, is computed in float32.

        Args:
            feat: (N, C_in).
            matrices: (27, C_in, C_out), one for each kernel offset.
            bias: (C_out,).

        Returns:
            (N, C_out).

        Raises:
            RuntimeError: gradients are required.
        """
        if torch.is_grad_enabled() and (feat.requires_grad or matrices.requires_grad):
            raise RuntimeError(
                "backend spconv is for inference only; train with auto, torch or triton"
            )
        dtype = torch.float32 if feat.dtype == torch.bfloat16 else feat.dtype
        weight = matrices.unflatten(0, (3, 3, 3)).permute(4, 0, 1, 2, 3)
        voxels = self.voxels.replace_feature(feat.to(dtype))
        conv = _convolution(matrices.shape[1], matrices.shape[2])
        out = functional_call(conv, {"weight": weight.to(dtype).contiguous()}, (voxels,))
        self.voxels.indice_dict.update(out.indice_dict)
        return (out.features + bias).to(feat.dtype)


def find_neighbours(
    keys: torch.Tensor, rows: torch.Tensor | None, largest: list[int]
) -> SpconvNeighbours:
    """Convert sorted, distinct voxel keys to the form of spconv.

    Args:
        keys: (N,) int64 :func:`~concerto_ros.ptv3.kernels.neighbours.voxel_keys`.
        rows: (N,) int64, the row of each key; None where the rows themselves are sorted.
        largest: largest voxel index of each axis.
    """
    indices = _voxels(keys, largest).to(torch.int32)
    if rows is not None:
        indices = torch.empty_like(indices).index_copy_(0, rows, indices)
    clouds = int(indices[:, 0].max()) + 1
    shape = [value + 1 for value in largest]
    return SpconvNeighbours(SparseConvTensor(indices.new_empty(0, 1), indices, shape, clouds))


def _voxels(keys: torch.Tensor, largest: list[int]) -> torch.Tensor:
    """Return (N, 4) int64 (batch, x, y, z) of voxel keys."""
    columns = []
    for value in reversed(largest):
        columns.append(keys % (value + 2))
        keys = keys // (value + 2)
    return torch.stack([keys, *reversed(columns)], 1)


@cache
def _convolution(width_in: int, width_out: int) -> SubMConv3d:
    """Create a layer without weights of its own."""
    with torch.device("meta"):
        conv = SubMConv3d(width_in, width_out, 3, bias=False, indice_key="neighbours")
    return conv.eval()

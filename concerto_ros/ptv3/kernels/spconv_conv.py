# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Submanifold convolution by spconv, an optional package; for inference only."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from spconv.pytorch import SparseConvTensor, SubMConv3d
from torch.func import functional_call
from torch.utils.weak import WeakTensorKeyDictionary


@dataclass(frozen=True, eq=False)
class SpconvNeighbours:
    """The voxels of a level in spconv's form; spconv finds the neighbours at first use.

    Attributes:
        voxels: with indices (N, 4) int32 (batch, x, y, z) and no features.
    """

    voxels: SparseConvTensor

    def convolve(
        self, feat: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor
    ) -> torch.Tensor:
        """Convolve features.

        On CUDA bfloat16, which spconv does not have, is computed in float16 with sums in float32,
        elsewhere in float32.

        Args:
            feat: (N, C_in).
            weight: (C_out, 3, 3, 3, C_in), the official shape, which is also spconv's.
            bias: (C_out,).

        Returns:
            (N, C_out).

        Raises:
            RuntimeError: gradients are required.
        """
        if torch.is_grad_enabled() and (feat.requires_grad or weight.requires_grad):
            raise RuntimeError(
                "backend spconv is for inference only; train with auto, torch or triton"
            )
        dtype = _computed_in(feat)
        voxels = self.voxels.replace_feature(feat.to(dtype))
        conv = _convolution(weight.shape[4], weight.shape[0])
        # spconv launches on the current device, whichever its arguments are on (its issue 544).
        with torch.cuda.device_of(feat):
            out = functional_call(conv, {"weight": _converted(weight, dtype)}, (voxels,))
        self.voxels.indice_dict.update(out.indice_dict)
        return (out.features + bias).to(feat.dtype)


def _computed_in(feat: torch.Tensor) -> torch.dtype:
    if feat.dtype == torch.bfloat16:
        return torch.float16 if feat.device.type == "cuda" else torch.float32
    return feat.dtype


#: What weights were converted to, and the state of the weights that it was made from.
_conversions = WeakTensorKeyDictionary()


def _converted(weight: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return the weight in a type and in spconv's layout, converted once until it changes."""
    if weight.is_inference():  # nothing tells when it changes
        return weight.to(dtype).contiguous()
    state = (weight._version, weight.data_ptr(), weight.device, dtype)
    kept = _conversions.get(weight)
    if kept is None or kept[0] != state:
        kept = _conversions[weight] = state, weight.detach().to(dtype).contiguous()
    return kept[1]


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
        # Left to itself, spconv sums float16 in float16 where few channels are added.
        conv = SubMConv3d(
            width_in, width_out, 3, bias=False, indice_key="neighbours", fp32_accum=True
        )
    return conv.eval()

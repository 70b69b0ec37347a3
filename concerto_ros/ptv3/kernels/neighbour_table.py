# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Neighbours of every voxel as a table of fixed shape: built on a GPU without waiting for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.autograd.function import once_differentiable

from concerto_ros.ptv3.cpu.onednn import linear

#: Values gathered at a time where PyTorch computes the products.
_GATHERED = 1 << 25

#: The product of half precision with a float32 result, on CUDA alone; None before PyTorch 2.8.
_wide_product = getattr(torch.ops.aten.mm, "dtype", None)


@dataclass(frozen=True, eq=False)
class NeighbourTable:
    """The neighbours of every voxel in a cube around it, the voxel itself among them.

    Of 3 x 3 x 3 voxels, K = 27, columns are sorted by which neighbours a voxel has: a kernel that
    takes a block of columns can skip the offsets at which none of them has one. For surfaces,
    where a voxel has about 9, blocks of 64 rows then take 9 to 12 of the 27 products instead of 15
    to 20.

    Attributes:
        order: (N,) int64, row of each column.
        rows: (K, N) int32, row of the neighbour at each kernel offset, -1 where there is none.
            Offsets count as in :func:`~concerto_ros.ptv3.kernels.neighbours.kernel_index`.
        multiply: computes the convolution, see :func:`multiply`.
    """

    order: torch.Tensor
    rows: torch.Tensor
    multiply: Callable[..., torch.Tensor]

    def convolve(
        self, feat: torch.Tensor, matrices: torch.Tensor, bias: torch.Tensor
    ) -> torch.Tensor:
        """Convolve features, with gradients.

        Args:
            feat: (N, C_in).
            matrices: (K, C_in, C_out), one for each kernel offset.
            bias: (C_out,).

        Returns:
            (N, C_out).
        """
        return _Convolve.apply(feat, matrices, bias, self)


def find_neighbour_table(
    keys: torch.Tensor,
    rows: torch.Tensor | None,
    largest: list[int],
    multiply: Callable[..., torch.Tensor],
    reach: int = 1,
) -> NeighbourTable:
    """Build the table from sorted, distinct keys.

    Voxels on a line along z have consecutive keys, so one binary search serves a whole column.

    Args:
        keys: (N,) int64 :func:`~concerto_ros.ptv3.kernels.neighbours.voxel_keys` of this reach.
        rows: (N,) int64, the row of each key; None where the rows themselves are sorted.
        largest: largest voxel index of each axis.
        multiply: computes the convolution, see :func:`multiply`.
        reach: voxels from the middle of the cube to its faces: 1 for 27 neighbours, 2 for 125.
    """
    size_y, size_z = largest[1] + 1 + reach, largest[2] + 1 + reach
    # A sentinel: a search may then run past the last key.
    ended = torch.cat([keys, keys.new_full((1,), torch.iinfo(torch.int64).max)])
    step = torch.arange(-reach, reach + 1, device=keys.device)
    columns = (step[:, None] * size_y + step).flatten() * size_z - reach
    target = keys + columns[:, None]
    position = torch.searchsorted(keys, target)
    found = []
    for _ in range(2 * reach + 1):
        hit = ended.take(position) == target
        found.append(position.to(torch.int32).masked_fill(~hit, -1))
        position = position + hit
        target = target + 1
    table = torch.stack(found, 1).flatten(0, 1)
    if reach == 1:
        offset = torch.arange(27, dtype=torch.int32, device=keys.device)
        pattern = ((table >= 0).to(torch.int32) << offset[:, None]).sum(0, dtype=torch.int32)
        order = torch.sort(pattern, stable=True).indices
        table = table.index_select(1, order)
    else:  # no such pattern fits into a number
        order = torch.arange(len(keys), device=keys.device)
    if rows is not None:
        missing = table < 0
        position = table.clamp_(min=0).flatten()
        table = rows.to(torch.int32).index_select(0, position).view_as(table)
        table.masked_fill_(missing, -1)
        order = rows.index_select(0, order)
    return NeighbourTable(order, table, multiply)


def multiply(
    feat: torch.Tensor, matrices: torch.Tensor, bias: torch.Tensor, table: NeighbourTable
) -> torch.Tensor:
    """Compute ``out[p] = bias + sum over k of feat[neighbour k of p] @ matrices[k]`` in PyTorch.

    Part by part, all neighbours of a row are gathered side by side for one matrix product.
    Shapes are those of :meth:`NeighbourTable.convolve`.
    """
    out = feat.new_empty(len(feat), matrices.shape[2])
    stacked = matrices.flatten(0, 1).t()
    for part, neighbours in _gathered(feat, table):
        product = _product(neighbours.flatten(1), stacked, bias)
        out.index_copy_(0, table.order[part], product)
    return out


def _product(rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Compute ``rows @ weight.t() + bias``, on CUDA with sums in float32 throughout.

    Unless a switch of the whole process forbids it, cuBLAS may add the parts of a sum that it
    splits in half precision, and sums over all neighbours are long. A product whose result is
    float32 has no such parts.
    """
    half = rows.dtype in (torch.bfloat16, torch.float16)
    if not (rows.is_cuda and half and _wide_product):
        return linear(rows, weight, bias)
    product = _wide_product(rows, weight.t(), torch.float32)
    return torch.add(product, bias, out=rows.new_empty(product.shape))


class _Convolve(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        feat: torch.Tensor,
        matrices: torch.Tensor,
        bias: torch.Tensor,
        table: NeighbourTable,
    ) -> torch.Tensor:
        ctx.save_for_backward(feat, matrices)
        ctx.table = table
        return table.multiply(feat, matrices, bias, table)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        feat, matrices = ctx.saved_tensors
        table = ctx.table
        for_feat, for_matrices, for_bias, _ = ctx.needs_input_grad
        grad_feat = grad_matrices = None
        if for_feat:
            # Neighbours are mutual: the gradient is a convolution by the kernel, mirrored and
            # transposed.
            mirrored = matrices.flip(0).transpose(1, 2)
            grad_feat = table.multiply(grad, mirrored, grad.new_zeros(feat.shape[1]), table)
        if for_matrices:
            exact = torch.promote_types(feat.dtype, torch.float32)
            grad_matrices = torch.zeros_like(matrices, dtype=exact)
            for part, neighbours in _gathered(feat, table):
                at_rows = grad.index_select(0, table.order[part])
                product = neighbours.flatten(1).t() @ at_rows
                grad_matrices += product.unflatten(0, matrices.shape[:2])
            grad_matrices = grad_matrices.to(matrices.dtype)
        return grad_feat, grad_matrices, grad.sum(0) if for_bias else None, None


def _gathered(feat: torch.Tensor, table: NeighbourTable) -> Iterator[tuple[slice, torch.Tensor]]:
    """Yield parts of the columns, with the (rows, K, C) neighbours of each; zeros for none."""
    padded = torch.cat([feat, feat.new_zeros(1, feat.shape[1])])
    step = max(1, _GATHERED // (len(table.rows) * feat.shape[1]))
    for start in range(0, len(feat), step):
        part = slice(start, start + step)
        rows = table.rows[:, part].t() % len(padded)
        yield part, padded.index_select(0, rows.flatten()).unflatten(0, rows.shape)

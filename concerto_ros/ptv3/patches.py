# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Cutting the clouds of a batch, ordered along a curve, into patches that attend to themselves.

A cloud of at most one patch is a single patch. A longer one is cut into whole patches; the
remaining rows attend to the last rows of a whole patch's size, themselves included, which is
equivalent to the padding with borrowed rows of the reference implementation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import torch

from concerto_ros.ptv3.kernels.host_copies import sent

#: Rows of the ordered features: a slice where they are contiguous, else indices.
Rows: TypeAlias = "slice | torch.Tensor"


@dataclass(frozen=True, eq=False)
class PatchGroup:
    """``count`` patches of equal shape: each of its queries attends to all of its keys.

    Attributes:
        count: number of patches.
        queries: ``count * Q`` rows of the ordered features.
        keys: ``count * K`` rows of the ordered features; the same object where they are the
            queries.
        mask: (count, 1, 1, K) bool, False where a key is padding; None where no key is.
    """

    count: int
    queries: Rows
    keys: Rows
    mask: torch.Tensor | None = None

    def in_level(self, order: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the rows of the level of (count, Q) queries and (count, K) keys.

        Args:
            order: (N,) int64, rows of the level along the curve.
        """
        queries = _in_level(self.queries, order).unflatten(0, (self.count, -1))
        if self.keys is self.queries:
            return queries, queries
        return queries, _in_level(self.keys, order).unflatten(0, (self.count, -1))


def _in_level(rows: Rows, order: torch.Tensor) -> torch.Tensor:
    return order[rows] if isinstance(rows, slice) else order.index_select(0, rows)


@dataclass(frozen=True, eq=False)
class Patches:
    """The patches of one level along one curve.

    Attributes:
        order: (N,) int64, rows of the level along the curve, cloud after cloud.
        groups: the patches, by shape.
        restore: (N,) int64, position of each row of the level in the concatenated queries of the
            groups.
    """

    order: torch.Tensor
    groups: tuple[PatchGroup, ...]
    restore: torch.Tensor


def cut_patches(order: torch.Tensor, counts: list[int], size: int) -> Patches:
    """Cut the clouds of a level into patches.

    Args:
        order: (N,) int64, rows of the level along the curve, cloud after cloud.
        counts: rows of each cloud.
        size: rows of a whole patch.
    """
    inverse = torch.empty_like(order)
    inverse[order] = torch.arange(len(order), device=order.device)
    if len(counts) == 1:
        return Patches(order, _one_cloud(counts[0], size), inverse)
    groups, slots = _many_clouds(counts, size, order.device)
    return Patches(order, groups, slots.index_select(0, inverse))


def _one_cloud(count: int, size: int) -> tuple[PatchGroup, ...]:
    if count <= size:
        return (_own_keys(1, slice(0, count)),)
    whole, rest = divmod(count, size)
    whole_patches = _own_keys(whole, slice(0, whole * size))
    if not rest:
        return (whole_patches,)
    remainder = PatchGroup(1, slice(count - rest, count), slice(count - size, count))
    return whole_patches, remainder


def _own_keys(count: int, rows: Rows) -> PatchGroup:
    return PatchGroup(count, rows, rows)


def _many_clouds(
    counts: list[int], size: int, device: torch.device
) -> tuple[tuple[PatchGroup, ...], torch.Tensor]:
    """Return the groups of a batch, and each ordered row's position in their queries."""
    count = torch.tensor(counts)
    end = torch.cumsum(count, 0)
    start = end - count
    rest = torch.where(count > size, count % size, 0)
    slot_of_row = torch.empty(int(end[-1]), dtype=torch.int64)
    groups: list[PatchGroup] = []
    filled = 0

    def add(queries: torch.Tensor, keys: torch.Tensor, own: torch.Tensor | None = None) -> None:
        nonlocal filled
        slot = torch.arange(filled, filled + queries.numel()).view_as(queries)
        filled += queries.numel()
        if own is None or bool(own.all()):
            own, mask = torch.ones_like(queries, dtype=torch.bool), None
        else:
            mask = sent(own[:, None, None, :], device) if keys is queries else None
        slot_of_row[queries[own]] = slot[own]
        on_device = sent(queries.flatten(), device)
        other = on_device if keys is queries else sent(keys.flatten(), device)
        groups.append(PatchGroup(len(queries), on_device, other, mask))

    short = count < size
    if short.any():
        length = torch.arange(int(count[short].max()))
        own = length < count[short, None]
        rows = torch.minimum(start[short, None] + length, end[short, None] - 1)
        add(rows, rows, own)
    whole = torch.where(short, 0, count // size)
    if whole.any():
        cloud = torch.repeat_interleave(torch.arange(len(counts)), whole)
        ordinal = torch.arange(len(cloud)) - (torch.cumsum(whole, 0) - whole)[cloud]
        rows = (start[cloud] + ordinal * size)[:, None] + torch.arange(size)
        add(rows, rows)
    left = rest > 0
    if left.any():
        length = torch.arange(int(rest.max()))
        own = length < rest[left, None]
        queries = torch.minimum((end - rest)[left, None] + length, end[left, None] - 1)
        add(queries, (end - size)[left, None] + torch.arange(size), own)
    return tuple(groups), sent(slot_of_row, device)

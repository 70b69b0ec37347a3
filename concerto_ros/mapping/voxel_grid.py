# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Grid sampling: the points of one frame summed by voxel."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F

#: Lattice indices lie in [-LATTICE_LIMIT, LATTICE_LIMIT): three of them pack into 63 bits.
LATTICE_LIMIT = 1 << 20
AXIS_BITS = 21
_AXIS_MASK = (1 << AXIS_BITS) - 1


def pack(index: np.ndarray) -> np.ndarray:
    """Pack (V, 3) lattice indices to (V,) int64 keys >= 0 that sort like (x, y, z)."""
    x, y, z = (index.astype(np.int64, copy=False) + LATTICE_LIMIT).T
    return (x << 2 * AXIS_BITS) | (y << AXIS_BITS) | z


def unpack(key: np.ndarray) -> np.ndarray:
    """Unpack (V,) int64 keys to (V, 3) int32 lattice indices."""
    index = np.empty((len(key), 3), np.int32)
    index[:, 0], index[:, 1] = key >> 2 * AXIS_BITS, (key >> AXIS_BITS) & _AXIS_MASK
    index[:, 2] = key & _AXIS_MASK
    index -= LATTICE_LIMIT
    return index


def voxel_keys(points: np.ndarray, voxel_size: float) -> np.ndarray:
    """Return keys (N,) int64 of the voxels of ``points`` (N, 3), metres, all on the lattice."""
    return pack(np.floor(points.astype(np.float64) / voxel_size))


def bounds(index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and the highest of lattice indices (V, 3), V > 0: (3,) int64 each."""
    # Column by column: NumPy takes thirty times as long along the first of two axes.
    low, high = [column.min() for column in index.T], [column.max() for column in index.T]
    return np.array(low, np.int64), np.array(high, np.int64)


def find_keys(held: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Find keys in a sorted array.

    Args:
        held: (V,) int64, ascending.
        wanted: (N,) int64.

    Returns:
        (N,) int64, row of each of ``wanted`` in ``held``; -1 where it is absent.
    """
    if not len(held):
        return np.full(len(wanted), -1)
    row = np.minimum(np.searchsorted(held, wanted), len(held) - 1)
    return np.where(held[row] == wanted, row, -1)


@dataclass(frozen=True, eq=False)
class FrameVoxels:
    """Sums over the points of one frame, one row per occupied voxel, rows sorted by (x, y, z).

    Attributes:
        keys: (V,) int64, ``pack(index)``, ascending.
        index: (V, 3) int32 lattice index, ``floor(point / voxel_size)``.
        count: (V,) float32, points in the voxel.
        fraction: (V, 3) float32, sum of ``point / voxel_size - index``, so each term is in [0, 1).
        color: (V, 3) float32 sum of 0..255, or None.
        normal: (V, 3) float32 sum, or None.
        outside: Points that lie off the lattice (or are not finite) and were left out.
        inverse: (N,) int64, the row of each point's voxel, -1 for points left out; None unless
            requested.
    """

    keys: np.ndarray
    index: np.ndarray
    count: np.ndarray
    fraction: np.ndarray
    color: np.ndarray | None
    normal: np.ndarray | None
    outside: int
    inverse: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.index)

    def where(self, keep: np.ndarray) -> FrameVoxels:
        """Return only the rows ``keep``, a mask (V,) or row numbers; without ``inverse``."""
        return replace(
            self,
            keys=self.keys[keep],
            index=self.index[keep],
            count=self.count[keep],
            fraction=self.fraction[keep],
            color=None if self.color is None else self.color[keep],
            normal=None if self.normal is None else self.normal[keep],
            inverse=None,
        )

    def means(self, voxel_size: float) -> np.ndarray:
        """Return the mean of the points in each voxel: (V, 3) float32, metres."""
        fraction = (self.fraction / self.count[:, None]).astype(np.float64)
        return ((self.index + fraction) * voxel_size).astype(np.float32)


def grid_sample(
    points: np.ndarray,
    voxel_size: float,
    *,
    colors: np.ndarray | None = None,
    normals: np.ndarray | None = None,
    inverse: bool = False,
) -> FrameVoxels:
    """Sum points, colours and normals by voxel.

    Sums run in the order of the points, so equal inputs give equal sums, bit for bit. One radix
    sort and one segmented sum per array: faster here than any hash table.

    Args:
        points: (N, 3) float32, metres.
        voxel_size: Metres, edge of a voxel.
        colors: (N, 3) uint8, or None.
        normals: (N, 3), or None.
        inverse: Whether to return the voxel of each point as well.
    """
    values = [_tensor(points)] + [_tensor(v) for v in (colors, normals) if v is not None]
    total = len(points)
    inside: np.ndarray | None = None
    low, high = _lattice_bounds(values[0], voxel_size)
    if total and not _on_lattice(low, high):
        lattice = values[0].double().div_(voxel_size).floor_()
        on_lattice = ((lattice >= -LATTICE_LIMIT) & (lattice < LATTICE_LIMIT)).all(dim=1)
        values = [value[on_lattice] for value in values]
        inside = on_lattice.numpy()
        low, high = _lattice_bounds(values[0], voxel_size)
    if len(values[0]):
        keys, index, count, sums, order = _segment_sums(values, voxel_size, low, high)
    else:
        keys = np.zeros(0, dtype=np.int64)
        index = np.zeros((0, 3), dtype=np.int32)
        count = np.zeros(0, dtype=np.int64)
        sums = [np.zeros((0, 3), dtype=np.float32) for _ in values]
        order = np.zeros(0, dtype=np.int64)
    return FrameVoxels(
        keys=keys,
        index=index,
        count=count.astype(np.float32),
        fraction=sums.pop(0),
        color=None if colors is None else sums.pop(0),
        normal=None if normals is None else sums.pop(0),
        outside=total - len(values[0]),
        inverse=_inverse(order, count, inside, total) if inverse else None,
    )


def _segment_sums(
    values: list[torch.Tensor], voxel_size: float, low: torch.Tensor, high: torch.Tensor
) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[np.ndarray], np.ndarray]:
    """Sum ``values``, the first of which are points, by voxel.

    Returns:
        Per voxel its key, index, count, and the sum of each of ``values``; and the order of the
        points that groups them by voxel.
    """
    # In float64, so that the voxel of a point does not depend on how far from the origin it is.
    scaled = values[0].double().div_(voxel_size)
    index = scaled.floor()
    span = (high - low + 1).long().numpy()
    compact = math.prod(span.tolist()) < 2**31
    if compact:
        # 32 bits, counted from the frame's own corner: the radix sort needs half the passes.
        weight = index.new_tensor([span[1] * span[2], span[2], 1])
        point_keys = torch.mv(index, weight).sub_(torch.dot(low, weight)).int()
    else:
        point_keys = torch.from_numpy(pack(index.long().numpy()))
    ordered, order = torch.sort(point_keys, stable=True)
    keys = ordered.numpy()
    first = np.concatenate([[0], np.flatnonzero(keys[1:] != keys[:-1]) + 1])
    start = torch.from_numpy(first)
    count = np.diff(first, append=len(keys))
    keys = keys[first]
    if compact:
        axes = np.stack(np.unravel_index(keys, span)) + low.long().numpy()[:, None]
        voxels, keys = np.ascontiguousarray(axes.T, dtype=np.int32), pack(axes.T)
    else:
        voxels = unpack(keys)
    fraction = scaled.sub_(index).float()
    sums = [
        F.embedding_bag(order, value.float(), start, mode="sum").numpy()
        for value in [fraction, *values[1:]]
    ]
    return keys, voxels, count, sums, order.numpy()


def _inverse(
    order: np.ndarray, count: np.ndarray, inside: np.ndarray | None, total: int
) -> np.ndarray:
    """Return the voxel of each point (total,); ``order`` indexes those ``inside`` (None: all)."""
    point = order if inside is None else np.flatnonzero(inside)[order]
    rows = np.full(total, -1)
    rows[point] = np.repeat(np.arange(len(count)), count)
    return rows


def _tensor(array: np.ndarray) -> torch.Tensor:
    """Convert an array to a tensor that shares its memory where torch can."""
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))


def _lattice_bounds(points: torch.Tensor, voxel_size: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the lowest and highest lattice index per axis, (3,) float64; NaN where a point is."""
    if not len(points):
        return torch.zeros(3), torch.zeros(3)
    # Rows of 64 points: torch reduces wide rows ten times faster than rows of three values.
    whole = len(points) // 64 * 64
    rest = points[whole - 64 :] if whole else points
    low, high = rest.amin(0), rest.amax(0)
    if whole:
        wide = points[:whole].view(-1, 192)
        low = torch.minimum(low, wide.amin(0).view(64, 3).amin(0))
        high = torch.maximum(high, wide.amax(0).view(64, 3).amax(0))
    return (low.double() / voxel_size).floor(), (high.double() / voxel_size).floor()


def _on_lattice(low: torch.Tensor, high: torch.Tensor) -> bool:
    """Return whether both bounds are on the lattice; false for NaN."""
    return bool((low >= -LATTICE_LIMIT).all()) and bool((high < LATTICE_LIMIT).all())

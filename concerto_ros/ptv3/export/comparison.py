# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Comparison of an exported encoder with the encoder itself, on clouds made for it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import torch

from concerto_ros.ptv3.encoder import Encoder
from concerto_ros.ptv3.export.head_matrix import HeadMatrix
from concerto_ros.ptv3.hierarchy import Hierarchy
from concerto_ros.ptv3.joined_levels import joined_levels

#: Tolerances of float32, those of the reference cases; and of half precision, the norm of the
#: difference relative to that of the features.
RTOL, ATOL, HALF = 2e-3, 2e-4, 2e-2

#: ``(feat, hierarchy)`` to the features of each level, then the scores if there is a head.
Compute = Callable[[torch.Tensor, Hierarchy], Sequence[torch.Tensor]]

#: Voxels of the largest cloud that an export is compared on: a model with weights of half a
#: gigabyte takes seconds for it.
_MOST = 4000


def cloud_sizes(longest_patch: int, max_voxels: int | None) -> list[tuple[int, ...]]:
    """Return the batches to compare on, as sizes of their clouds.

    A single voxel; a cloud of several patches on its finest levels; a short cloud beside a long
    one, whose only patch is filled up.

    Args:
        longest_patch: rows of the largest patch of the encoder.
        max_voxels: most voxels of a batch; None: no limit.
    """
    long = min(max(20 * longest_patch, 500), _MOST)
    most = max_voxels or math.inf
    batches = [(1,), (min(long, most),), _short_and_long(longest_patch)]
    return [tuple(map(int, batch)) for batch in dict.fromkeys(batches) if sum(batch) <= most]


def cloud_like_a_room(
    sizes: Sequence[int], channels: int, seed: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return feat, grid_coord, coord and offset of clouds of voxels on three walls, in any order.

    Args:
        sizes: voxels of each cloud.
        channels: of the features.
        seed: of the random numbers.
    """
    generator = torch.Generator().manual_seed(seed)
    clouds = []
    for size in sizes:
        side = math.isqrt(size // 2) + 2  # three walls have more voxels than are drawn
        cells = torch.cartesian_prod(torch.arange(side), torch.arange(side))
        walls = torch.cat([torch.cat([cells, cells[:, :1] * 0], 1).roll(k, 1) for k in range(3)])
        walls = torch.unique(walls, dim=0)
        clouds.append(walls[torch.randperm(len(walls), generator=generator)[:size]])
    grid_coord = torch.cat(clouds)
    coord = grid_coord * 0.02 + 0.02 * torch.rand(grid_coord.shape, generator=generator)
    feat = torch.randn(len(grid_coord), channels, generator=generator)
    return feat, grid_coord, coord, torch.tensor(sizes).cumsum(0)


def _short_and_long(longest_patch: int) -> tuple[int, int]:
    short = max(longest_patch // 3, 2)
    return short, 2 * longest_patch + short


@torch.inference_mode()
def worst_deviation(
    compute: Compute,
    encoder: Encoder,
    head: HeadMatrix | None,
    precision: str,
    batches: Sequence[Sequence[int]],
) -> float:
    """Return the largest deviation from the encoder, as a multiple of the tolerance.

    Args:
        compute: the export.
        encoder: what it was exported from, in float32.
        head: whose scores are compared as well; None: features alone.
        precision: in which the export computes.
        batches: sizes of the clouds of each batch to compare on.

    Returns:
        At most 1 where the export is right; infinite where a shape differs or a value is not
            finite.
    """
    worst = 0.0
    for seed, sizes in enumerate(batches):
        feat, *voxels = cloud_like_a_room(sizes, encoder.config.in_channels, seed)
        hierarchy = encoder.hierarchy(*voxels)
        got = compute(feat, hierarchy)
        expected = list(_expected(encoder, head, feat, hierarchy))
        for ours, theirs in zip(got, expected, strict=True):
            worst = max(worst, _deviation(ours, theirs, precision))
    return worst


def _expected(
    encoder: Encoder, head: HeadMatrix | None, feat: torch.Tensor, hierarchy: Hierarchy
) -> Iterator[torch.Tensor]:
    pyramid = encoder.forward_features(feat, hierarchy)
    yield from pyramid.feats
    if head is not None:
        joined = joined_levels(head.name, head.weight.shape[1], encoder)
        yield pyramid.upcast(joined) @ head.weight.t() + head.bias


def _deviation(got: torch.Tensor, expected: torch.Tensor, precision: str) -> float:
    if got.shape != expected.shape or not bool(got.isfinite().all()):
        return math.inf
    got, expected = got.double(), expected.double()
    off = (got - expected).abs()
    if precision == "float32":
        return float((off / (ATOL + RTOL * expected.abs())).max())
    length = torch.linalg.norm(expected)
    return float(torch.linalg.norm(off) / length.clamp(min=1e-12)) / HALF

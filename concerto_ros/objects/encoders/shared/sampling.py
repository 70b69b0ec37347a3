# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Choosing points: farthest point sampling, nearest neighbours, ball query, interpolation.

Batched, on any device. Indices are int64 rows of the cloud of the same batch entry. Distances are
squared sums of direct differences in float32: the expanded form |a|^2 + |b|^2 - 2ab loses digits.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from concerto_ros.ptv3.kernels.host_copies import sent
from concerto_ros.ptv3.kernels.native.calls import has_kernels
from concerto_ros.ptv3.kernels.native.sampling import sample_farthest, samples

#: Squared distance from the origin up to which the pointnet2 kernel skips a point.
NEAR_ORIGIN = 1e-3

#: Squared distance that a running minimum starts with.
FAR = 1e10

#: Points of all clouds of which one core of a CPU chooses the next ones in 0.03 ms, as long as it
#: takes to launch the seven operators that do it on a GPU.
FEW = 1 << 17

#: Floats of one block of a table of differences.
BLOCK = 1 << 25


@torch.no_grad()
def farthest_point_sampling(
    points: torch.Tensor, count: int, *, skip_near_origin: bool, start: int = 0
) -> torch.Tensor:
    """Sample (B, count) rows of ``points`` (B, N, 3), each the farthest from those before it.

    With ``skip_near_origin`` the choice equals the kernel of PointNet++ that most object encoders
    were trained with: a point within sqrt(1e-3) of the origin is chosen only as the start, and of
    equally far points the one in the lowest bit-reversed thread wins. Without it, the smallest row
    wins. When all points are used up, rows repeat.

    Args:
        points: (B, N, 3).
        count: Rows to choose.
        skip_near_origin: Follow the kernel of PointNet++.
        start: The row that is chosen first.

    Raises:
        ValueError: If the cloud is empty or ``count`` is below 1.
    """
    batch, total, _ = points.shape
    if total < 1 or count < 1:
        raise ValueError(
            f"cannot sample {count} of {total} points, expected at least 1 of at least 1"
        )
    device, points = points.device, points.float()
    if _few_on_a_gpu(points):
        points = points.cpu()
    order = None
    if skip_near_origin:
        order = _thread_order(total, points.device)
        points = points[:, order]
        start = int((order == start).nonzero())
    distance = points.new_full((batch, total), FAR)
    if skip_near_origin:
        # Less than any distance, and a minimum never raises it: such a point cannot win.
        distance[points.square().sum(-1) <= NEAR_ORIGIN] = -1.0
    if samples(points):
        result = sample_farthest(points, distance, count, start)
        return sent(result if order is None else order[result], device)
    rows = torch.arange(batch, device=points.device)
    chosen = torch.full((batch,), start, dtype=torch.int64, device=points.device)
    result = torch.empty((batch, count), dtype=torch.int64, device=points.device)
    for step in range(count):
        result[:, step] = chosen
        newest = points[rows, chosen].unsqueeze(1)
        distance = torch.minimum(distance, (points - newest).square().sum(-1))
        chosen = distance.argmax(1)
    return sent(result if order is None else order[result], device)


def _few_on_a_gpu(points: torch.Tensor) -> bool:
    """Return whether the CPU's compiled kernel chooses among points (B, N, 3) of a GPU sooner.

    Each step needs the one before it, and few points do not fill a GPU.
    """
    few = points.shape[0] * points.shape[1] <= FEW
    return points.device.type == "cuda" and few and has_kernels(torch.float32)


def nearest_neighbours(queries: torch.Tensor, points: torch.Tensor, count: int) -> torch.Tensor:
    """Find the (B, G, count) nearest rows of ``points`` (B, N, 3), nearest first.

    Args:
        queries: (B, G, 3).
        points: (B, N, 3).
        count: Neighbours of each query.

    Raises:
        ValueError: If there are fewer points than ``count``.
    """
    return nearest_with_distance(queries, points, count)[0]


@torch.no_grad()
def nearest_with_distance(
    queries: torch.Tensor, points: torch.Tensor, count: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Find :func:`nearest_neighbours` and their squared distances, (B, G, count) float32."""
    total = points.shape[1]
    if not 1 <= count <= total:
        raise ValueError(f"count is {count}, expected 1 to the number of points, {total}")
    parts = [
        table.topk(count, dim=-1, largest=False, sorted=True)
        for table in _distance_blocks(queries, points)
    ]
    return torch.cat([part.indices for part in parts], 1), torch.cat(
        [part.values for part in parts], 1
    )


@torch.no_grad()
def ball_query(
    queries: torch.Tensor, points: torch.Tensor, radius: float, count: int
) -> torch.Tensor:
    """Find the ``count`` lowest rows within ``radius`` of each query, as PointNet++ does.

    Squared distances up to and including the squared radius count. Not the nearest but the first
    rows are taken, padded by the first of them. Row 0 stands for an empty ball.

    Args:
        queries: (B, G, 3).
        points: (B, N, 3).
        radius: In the unit of the points.
        count: Rows of each ball.

    Returns:
        (B, G, count) int64 rows.
    """
    total = points.shape[1]
    index = torch.arange(total, device=points.device)
    parts = []
    for table in _distance_blocks(queries, points):
        rows = torch.where(table <= radius**2, index, total)
        parts.append(rows.topk(min(count, total), dim=-1, largest=False, sorted=True).values)
    rows = nn.functional.pad(torch.cat(parts, 1), (0, max(0, count - total)), value=total)
    rows = torch.where(rows == total, rows[..., :1], rows)
    return torch.where(rows == total, 0, rows)


def gather_rows(values: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Gather rows of ``values`` (B, N, C) at ``index`` (B, ...): (B, ..., C)."""
    flat = index.flatten(1).unsqueeze(-1).expand(-1, -1, values.shape[-1])
    return values.gather(1, flat).view(*index.shape, values.shape[-1])


def interpolate_three(
    queries: torch.Tensor, points: torch.Tensor, values: torch.Tensor
) -> torch.Tensor:
    """Interpolate ``values`` (B, G, C) of ``points`` (B, G, 3) at ``queries``: (B, N, C).

    The three nearest points weigh by 1 / (squared distance + 1e-8), as in PointNet++. With fewer
    than three points, all of them count.

    Args:
        queries: (B, N, 3).
        points: (B, G, 3).
        values: (B, G, C).
    """
    index, squared = nearest_with_distance(queries, points, min(3, points.shape[1]))
    weight = 1.0 / (squared + 1e-8)
    weight = weight / weight.sum(-1, keepdim=True)
    return (gather_rows(values, index) * weight.unsqueeze(-1)).sum(-2)


def _distance_blocks(queries: torch.Tensor, points: torch.Tensor) -> Iterator[torch.Tensor]:
    """Yield squared distances (B, part of G, N) in float32, a few queries at a time."""
    step = max(1, BLOCK // (3 * points.shape[0] * points.shape[1]))
    points = points.float().unsqueeze(1)
    for part in queries.float().split(step, dim=1):
        yield (part.unsqueeze(2) - points).square().sum(-1)


def _thread_order(total: int, device: torch.device) -> torch.Tensor:
    """Order rows as the pointnet2 kernel prefers them when distances are equal.

    Row i is handled by thread i mod P, P the greatest power of two up to ``total`` and 512. Pairs
    of threads are compared from the far half on, which prefers the lowest bit-reversed one.
    """
    bits = min(total.bit_length() - 1, 9)
    row = torch.arange(total, device=device)
    reversed_thread = torch.zeros_like(row)
    for bit in range(bits):
        reversed_thread |= ((row >> bit) & 1) << (bits - 1 - bit)
    return torch.argsort(reversed_thread, stable=True)

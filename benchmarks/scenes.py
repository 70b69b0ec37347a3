# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Voxels of rooms, and the model input of a cloud."""

from __future__ import annotations

import torch

GRID = 0.02  # metres


def surfaces(size: tuple[float, float, float]) -> list[torch.Tensor]:
    """Every voxel of a floor and two walls of a box of ``size`` metres: three (N, 3) int64."""
    x, y, z = (torch.arange(max(1, round(side / GRID))) for side in size)
    zero = torch.zeros(1, dtype=torch.int64)
    return [
        torch.cartesian_prod(x, y, zero),
        torch.cartesian_prod(x, zero, z),
        torch.cartesian_prod(zero, y, z),
    ]


def dense_scene() -> torch.Tensor:
    """Floor and two walls, 2 x 2 x 1.2 m, every voxel taken: (N, 3) int64."""
    return torch.unique(torch.cat(surfaces((2.0, 2.0, 1.2))), dim=0)


def sparse_scene(points: int = 24_000) -> torch.Tensor:
    """Random points on the floor and two walls of a 6 x 5 x 2.5 m room: (N, 3) int64."""
    voxels = torch.cat(surfaces((6.0, 5.0, 2.5)))
    generator = torch.Generator().manual_seed(0)
    return torch.unique(voxels[torch.randint(len(voxels), (points,), generator=generator)], dim=0)


def scanned_scene(voxels: int) -> torch.Tensor:
    """Half of the floor and two walls of a room as large as ``voxels`` need: (N, 3) int64.

    The shares of the voxels that the levels keep are between those of the dense and the sparse
    scene, and the same for every size.
    """
    side = (2 * voxels / 2.2) ** 0.5 * GRID  # floor of side x side, walls of 0.6 side
    every = torch.unique(torch.cat(surfaces((side, side, 0.6 * side))), dim=0)
    generator = torch.Generator().manual_seed(0)
    kept = torch.randperm(len(every), generator=generator)[:voxels]
    return every[kept.sort().values]


def model_input(grid_coord: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Features, voxels, coordinates and offset of one cloud, as the encoder takes them."""
    generator = torch.Generator().manual_seed(1)
    coord = (grid_coord + 0.5) * GRID
    coord -= coord.mean(0)
    color = torch.rand(coord.shape, generator=generator)
    normal = torch.nn.functional.normalize(torch.randn(coord.shape, generator=generator))
    return torch.cat([coord, color, normal], 1), grid_coord, coord, torch.tensor([len(coord)])

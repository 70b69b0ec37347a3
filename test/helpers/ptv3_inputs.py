# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A small encoder's configuration, and random voxels and batches for it."""

from __future__ import annotations

import torch

from concerto_ros.ptv3 import PTv3Config
from concerto_ros.ptv3.checkpoint import randomise
from concerto_ros.ptv3.kernels.sparse_conv import SubmanifoldConv

CONFIG = PTv3Config(
    in_channels=9,
    order=("z", "hilbert-trans"),
    stride=(2, 3),
    enc_depths=(1, 2, 1),
    enc_channels=(8, 16, 16),
    enc_num_head=(1, 2, 2),
    enc_patch_size=(16, 16, 16),
    enc_mode=True,
)


def voxels(count: int, side: int, seed: int) -> torch.Tensor:
    flat = torch.randperm(side**3, generator=torch.Generator().manual_seed(seed))[:count]
    return torch.stack([flat // side**2, flat // side % side, flat % side], 1)


def batch_of(*sizes: int, side: int = 12, seed: int = 0):
    """Random clouds with distinct voxels: grid_coord, coord, offset."""
    generator = torch.Generator().manual_seed(seed)
    clouds = []
    for size in sizes:
        flat = torch.randperm(side**3, generator=generator)[:size]
        clouds.append(torch.stack([flat // side**2, flat // side % side, flat % side], 1))
    grid_coord = torch.cat(clouds)
    coord = grid_coord * 0.02 + 0.02 * torch.rand(grid_coord.shape, generator=generator)
    return grid_coord, coord, torch.tensor(sizes).cumsum(0)


def convolution(channels: int, seed: int) -> SubmanifoldConv:
    conv = SubmanifoldConv(channels)
    randomise(conv, seed)
    with torch.no_grad():
        conv.bias.copy_(torch.arange(channels) * 0.1)
    return conv

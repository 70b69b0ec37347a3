# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Coarser levels, and the hierarchy that they make."""

from __future__ import annotations

from dataclasses import astuple

import torch
from ptv3_inputs import batch_of

from concerto_ros.ptv3.kernels import fused
from concerto_ros.ptv3.kernels.backends import choose_backend
from concerto_ros.ptv3.kernels.triton import coarsening as triton_coarsening
from triton_checks.shared import DEVICE, built, levels, same_arrays


def hierarchy():
    """Levels are the same bit for bit."""
    for sizes in ((90,), (1,), (40, 1, 12)):
        for plain, fast in levels(*sizes):
            for name in ("grid_coord", "coord", "batch", "offset"):
                assert torch.equal(getattr(plain, name), getattr(fast, name)), name
            for patching, patches in plain.patches.items():
                assert torch.equal(patches.order, fast.patches[patching].order)
            if plain.pooling:
                same_arrays(astuple(fast.pooling), astuple(plain.pooling))


def coarser_voxels():
    """All of a coarser level is the same bit for bit, over blocks and for far indices."""
    assert choose_backend("triton", DEVICE).fused.coarsen is triton_coarsening.coarsen
    for sizes, side, stride in (((1,), 6, 2), ((700,), 9, 2), ((256, 257, 3), 40, 3)):
        grid_coord, coord, offset = (part.to(DEVICE) for part in batch_of(*sizes, side=side))
        positions = torch.arange(len(grid_coord), device=DEVICE)
        batch = torch.searchsorted(offset, positions, right=True)
        for far in (0, 65000 // stride):
            voxels = grid_coord + far * stride
            united = torch.cat([batch[:, None], voxels // stride], 1).unique(dim=0)
            largest = united[:, 1:].amax(0).tolist()
            given = voxels, batch, coord, stride, largest, len(united)
            *ours, ours_pooling = triton_coarsening.coarsen(*given)
            *plain, plain_pooling = fused.coarsen(*given)
            same_arrays(ours, plain)
            same_arrays(astuple(ours_pooling), astuple(plain_pooling))


def compiles(capability: int):
    """The kernels compile for GPUs that are not here, within their registers and memory."""
    numbers = ("count", "coarse_count", "stride", "size_x", "size_y", "size_z")
    for kernel in (
        triton_coarsening.key_block,
        triton_coarsening.step_block,
        triton_coarsening.unite_block,
        triton_coarsening.mean_block,
    ):
        types = dict.fromkeys(numbers, "i32") | dict.fromkeys(("coord", "out"), "*fp32")
        signature = {name: types.get(name, "*i64") for name in kernel.arg_names if name != "BLOCK"}
        built(kernel, signature, {"BLOCK": 256}, capability)

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Padded levels and patches."""

from __future__ import annotations

from dataclasses import astuple

import torch

from concerto_ros.ptv3.kernels import level_padding
from concerto_ros.ptv3.kernels.backends import choose_backend
from concerto_ros.ptv3.kernels.level_padding import FinerLevel
from concerto_ros.ptv3.kernels.pooling import Pooling
from concerto_ros.ptv3.kernels.triton import padding as triton_padding
from triton_checks.shared import DEVICE, built, same_arrays, there


def padded_levels():
    """Every array of a padded level is the same bit for bit."""
    assert choose_backend("triton", DEVICE).fused.pad_level is triton_padding.pad_level
    for size, rows, finer in ((1, 64, 128), (60, 64, 384), (300, 640, 512)):
        generator = torch.Generator().manual_seed(size)
        coord = torch.randn(size, 3, generator=generator)
        grid_coord = torch.randint(0, 9, (size, 3), generator=generator)
        table = torch.randint(-1, size, (27, size), generator=generator).int()
        sizes = torch.randint(1, 9, (size,), generator=generator).clamp_(max=finer // size)
        starts = torch.nn.functional.pad(sizes.cumsum(0), (1, 0))
        order = torch.randperm(int(starts[-1]), generator=generator)
        cluster = torch.repeat_interleave(sizes)[order.argsort()]
        held = Pooling(*map(there, (cluster, order, starts)))
        given = list(map(there, (grid_coord, coord, torch.randperm(size), table)))
        for pooled in (None, FinerLevel(held, finer, 8)):
            ours, plain = (
                module.pad_level(*given, pooled, rows)
                for module in (triton_padding, level_padding)
            )
            same_arrays(ours[:4], plain[:4])
            if pooled:
                same_arrays(astuple(ours.pooling), astuple(plain.pooling))


def padded_patches():
    """Orders, their inverses and masks are the same bit for bit, whatever the last patch lacks."""
    for count, rows in ((1, 64), (15, 64), (16, 32), (17, 64), (300, 320), (512, 528)):
        for curves in (1, 3):
            orders = torch.stack([torch.randperm(count, device=DEVICE) for _ in range(curves)])
            ours, plain = (
                module.pad_patches(orders, 16, rows) for module in (triton_padding, level_padding)
            )
            same_arrays(ours, plain)


def compiles(capability: int):
    """The kernels compile for GPUs that are not here, within their registers and memory."""
    for kernel, constants in (
        (triton_padding.pad_level_block, {"MEMBERS": 0}),
        (triton_padding.pad_level_block, {"MEMBERS": 27}),
        (triton_padding.pad_patches_block, {"SHORT": True}),
    ):
        types = {"coord": "*fp32", "neighbours": "*i32", "real_rows": "*u8"}
        types |= {"out_coord": "*fp32", "out_neighbours": "*i32"}
        numbers = ("count", "rows", "fine_count", "fine_rows", "whole", "borrowed")
        types |= dict.fromkeys(numbers, "i32")
        signature = {
            name: types.get(name, "*i64") for name in kernel.arg_names if not name.isupper()
        }
        built(kernel, signature, constants | {"BLOCK": 256}, capability)

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Codes of space-filling curves."""

from __future__ import annotations

import torch

from concerto_ros.ptv3.kernels import curves as serialization
from concerto_ros.ptv3.kernels.triton import curves as triton_codes
from triton_checks.shared import DEVICE, built


def codes():
    """Curve codes are the same bit for bit."""
    for depth in (0, 1, 2, 7, 16):
        generator = torch.Generator().manual_seed(depth)
        grid_coord = torch.randint(0, 1 << depth, (1100, 3), generator=generator).to(DEVICE)
        for curve in serialization.CURVES:
            for part in (grid_coord, grid_coord.int()[:1], grid_coord[:, [2, 1, 0]]):
                expected = serialization.curve_code(part, depth, curve)
                assert torch.equal(triton_codes.curve_code(part, depth, curve), expected)


def compiles(capability: int):
    """The kernels compile for GPUs that are not here, within their registers and memory."""
    signature = {"grid_coord": "*i64", "out": "*i64", "count": "i32", "depth": "i32"}
    constants = {"HILBERT": True, "EXCHANGED": 1, "BLOCK": 1024}
    built(triton_codes.curve_code_block, signature, constants, capability)

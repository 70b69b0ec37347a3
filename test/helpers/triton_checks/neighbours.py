# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Tables of neighbours."""

from __future__ import annotations

import torch
from ptv3_inputs import batch_of

from concerto_ros.ptv3.kernels import neighbour_table
from concerto_ros.ptv3.kernels.neighbours import voxel_keys
from concerto_ros.ptv3.kernels.triton import conv as triton_conv
from concerto_ros.ptv3.kernels.triton import neighbours as triton_neighbours
from triton_checks.shared import DEVICE, built


def neighbour_tables():
    """Tables and their orders are the same bit for bit."""
    for sizes, side in (((90,), 6), ((1,), 6), ((40, 1, 12), 6), ((700,), 9), ((256, 257), 40)):
        grid_coord, _, offset = (value.to(DEVICE) for value in batch_of(*sizes, side=side))
        positions = torch.arange(len(grid_coord), device=DEVICE)
        batch = torch.searchsorted(offset, positions, right=True)
        # The second layout has planes too large for 32 bits.
        for largest in (grid_coord.amax(0).tolist(), [65535, 65535, 65535]):
            keys, order = voxel_keys(grid_coord, batch, largest).sort()
            for rows in (order, None):
                plain, fast = (
                    module.find_neighbour_table(keys, rows, largest, triton_conv.multiply)
                    for module in (neighbour_table, triton_neighbours)
                )
                assert torch.equal(plain.rows, fast.rows), (sizes, largest)
                assert torch.equal(plain.order, fast.order), (sizes, largest)
                assert (fast.rows.dtype, fast.order.dtype) == (torch.int32, torch.int64)


def compiles(capability: int):
    """The kernels compile for GPUs that are not here, within their registers and memory."""
    numbers = dict.fromkeys(("count", "steps", "size_y", "size_z"), "i32")
    signature = {"keys": "*i64", "table": "*i32", "pattern": "*i32"} | numbers
    built(triton_neighbours.find_block, signature, {"BLOCK": 256}, capability)
    longs = dict.fromkeys(("by", "rows"), "*i64")
    for has_rows in (False, True):
        signature = {"table": "*i32"} | longs | {"out": "*i32", "order": "*i64"}
        signature["count"] = "i32"
        constants = {"HAS_ROWS": has_rows, "BLOCK": 256}
        built(triton_neighbours.arrange_block, signature, constants, capability)

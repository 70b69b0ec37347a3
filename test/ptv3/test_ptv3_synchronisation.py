# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How often the integer half of a forward pass waits for the device.

Counted without a GPU, by the operators that PyTorch dispatches.
"""

from __future__ import annotations

import pytest
import torch
from ptv3_inputs import CONFIG, batch_of

from benchmarks.gpu_check.launches import counted
from concerto_ros.ptv3 import build_hierarchy
from concerto_ros.ptv3.kernels.backends import TABLE
from concerto_ros.ptv3.kernels.curves import curve_code
from concerto_ros.ptv3.level_sizes import measure_levels


@pytest.mark.parametrize(
    "wait",
    [
        lambda x: x.tolist(),
        lambda x: int(x[0]),
        lambda x: bool(x[0] > 0),
        lambda x: x[x > 0],
        lambda x: torch.nonzero(x),
        lambda x: torch.unique_consecutive(x),
        lambda x: torch.bincount(x),
        lambda x: x.cpu(),
        lambda x: torch.repeat_interleave(x, x),
        lambda x: x.index_put_((x > 0,), x.sum()),
    ],
)
def test_the_count_sees_every_way_to_wait(wait):
    assert len(counted(lambda: wait(torch.arange(4))).waits) == 1


def test_the_count_sees_nothing_where_nothing_waits():
    def work():
        row = torch.arange(4).sort().values
        inverse = torch.empty_like(row)
        inverse[row] = row.cumsum(0).masked_fill(row > 2, 0).view(2, 2).flatten()

    counts = counted(work)
    # arange, sort, cumsum, comparison, masked_fill, the write; no view, and nothing for empty.
    assert (counts.launches, counts.waits) == (6, [])


def test_compound_operators_are_counted_by_their_parts_in_inference_mode_too():
    def work():
        matrix = torch.eye(3)
        torch.linalg.eigh(matrix @ matrix)
        bool(matrix.all())

    with torch.no_grad():
        expected = counted(work)
    with torch.inference_mode():
        counts = counted(work)
    assert expected.waits == ["aten::_linalg_eigh", "aten::_local_scalar_dense"]
    assert (counts.launches, counts.waits) == (expected.launches, expected.waits)


def test_reads_with_nothing_launched_in_between_are_one_wait():
    one, other = torch.rand(2), torch.rand(2)

    def work():
        one.tolist(), other.cpu().numpy(), float(one[0])
        (one + other).tolist()

    counts = counted(work)
    assert (counts.launches, counts.waits) == (1, ["tolist", "tolist"])


def test_what_was_brought_to_the_cpu_launches_nothing_until_it_is_sent_again():
    def work():
        matrix = torch.eye(3).mul(2)  # two launches
        product = torch.linalg.qr(matrix.cpu()).Q @ matrix.cpu().T
        assert float(product[0, 0].abs()) == 2
        product.to(torch.device("cpu")).add(matrix).tolist()  # the place of a device

    counts = counted(work)
    assert (counts.launches, counts.waits) == (3, ["cpu", "tolist"])
    assert counted(lambda: torch.linalg.qr(torch.ones(2, 2))).waits == ["aten::linalg_qr"]


@pytest.mark.parametrize("strides", [(2, 2, 2, 2), (2, 3), (3, 5), ()])
def test_the_sizes_of_all_levels_cost_one_wait(strides):
    grid_coord, _, offset = batch_of(200, 1, 90)
    batch = torch.searchsorted(offset, torch.arange(len(grid_coord)), right=True)
    sizes = []
    counts = counted(
        lambda: sizes.append(measure_levels(grid_coord, batch, offset, strides, curve_code))
    )
    assert counts.waits == ["tolist"]
    (sizes,) = sizes
    for ends, device in zip(sizes.ends, sizes.offsets, strict=True):
        clouds = grid_coord.split(torch.diff(offset, prepend=torch.zeros(1).long()).tolist())
        distinct = torch.tensor([len(cloud.unique(dim=0)) for cloud in clouds])
        assert ends == device.tolist() == distinct.cumsum(0).tolist()
        grid_coord = grid_coord // (strides[0] if strides else 1)
        strides = strides[1:]
    assert sizes.repeated == 0


@pytest.mark.parametrize("sizes", [(300,), (1,)])
def test_a_hierarchy_with_neighbour_tables_costs_one_wait(sizes):
    given = batch_of(*sizes)
    assert counted(lambda: build_hierarchy(*given, CONFIG, TABLE)).waits == ["tolist"]


def test_rows_that_repeat_a_voxel_are_counted():
    grid_coord = torch.tensor([[1, 2, 3], [4, 4, 4], [1, 2, 3], [1, 2, 3], [1, 2, 3]])
    batch, offset = torch.tensor([0, 0, 0, 0, 1]), torch.tensor([4, 5])
    assert measure_levels(grid_coord, batch, offset, (2,), curve_code).repeated == 2

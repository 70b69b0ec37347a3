# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How often the integer half of a forward pass waits for the device.

Counted without a GPU: on one, the program waits wherever it reads a value, and wherever a result
is as long as values say.
"""

from __future__ import annotations

from contextlib import contextmanager

import pytest
import torch
from ptv3_inputs import CONFIG, batch_of
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from concerto_ros.ptv3 import build_hierarchy
from concerto_ros.ptv3.kernels.backends import TABLE
from concerto_ros.ptv3.kernels.curves import curve_code
from concerto_ros.ptv3.level_sizes import measure_levels

#: Methods that read whole tensors; on the CPU no operator shows it.
READERS = ("tolist", "numpy", "cpu")

#: Operators that read one value, or whose result is as long as the values say.
WAITING = (
    "aten::_local_scalar_dense",
    "aten::nonzero",
    "aten::unique",
    "aten::_unique",
    "aten::masked_select",
    "aten::bincount",
    "aten::repeat_interleave",
)


class _Readers(TorchFunctionMode):
    def __init__(self, names: list[str]):
        super().__init__()
        self.names = names

    def __torch_function__(self, function, types, arguments=(), options=None):
        if getattr(function, "__name__", "") in READERS:
            self.names.append(function.__name__)
        return function(*arguments, **(options or {}))


class _Operators(TorchDispatchMode):
    def __init__(self, names: list[str]):
        super().__init__()
        self.names = names

    def __torch_dispatch__(self, operator, types, arguments=(), options=None):
        name = operator._schema.name
        if name.startswith(WAITING) or name.startswith("aten::index") and _masked(arguments):
            self.names.append(name)
        return operator(*arguments, **(options or {}))


def _masked(arguments) -> bool:
    """Whether an index is a mask."""
    index = arguments[1] if isinstance(arguments[1], (list, tuple)) else arguments[2:3]
    return any(isinstance(i, torch.Tensor) and i.dtype == torch.bool for i in index)


@contextmanager
def waits():
    """The names of what would have waited inside the ``with``."""
    names: list[str] = []
    with _Readers(names), _Operators(names):
        yield names


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
    with waits() as names:
        wait(torch.arange(4))
    assert names


def test_the_count_sees_nothing_where_nothing_waits():
    with waits() as names:
        row = torch.arange(4).sort().values
        inverse = torch.empty_like(row)
        inverse[row] = row.cumsum(0).masked_fill(row > 2, 0)
    assert not names


@pytest.mark.parametrize("strides", [(2, 2, 2, 2), (2, 3), (3, 5), ()])
def test_the_sizes_of_all_levels_cost_one_wait(strides):
    grid_coord, _, offset = batch_of(200, 1, 90)
    batch = torch.searchsorted(offset, torch.arange(len(grid_coord)), right=True)
    with waits() as names:
        sizes = measure_levels(grid_coord, batch, offset, strides, curve_code)
    assert names == ["tolist"]
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
    with waits() as names:
        build_hierarchy(*given, CONFIG, TABLE)
    assert names == ["tolist"]


def test_rows_that_repeat_a_voxel_are_counted():
    grid_coord = torch.tensor([[1, 2, 3], [4, 4, 4], [1, 2, 3], [1, 2, 3], [1, 2, 3]])
    batch, offset = torch.tensor([0, 0, 0, 0, 1]), torch.tensor([4, 5])
    assert measure_levels(grid_coord, batch, offset, (2,), curve_code).repeated == 2

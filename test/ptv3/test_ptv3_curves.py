# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Space-filling curves: one to one, the known shapes, and the Hilbert curve's adjacency."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from concerto_ros.ptv3.kernels.curves import CURVES, curve_code


def cube(depth: int) -> torch.Tensor:
    side = torch.arange(2**depth)
    return torch.cartesian_prod(side, side, side)


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_every_voxel_of_a_cube_has_its_own_code(curve, depth):
    codes = curve_code(cube(depth), depth, curve)
    assert torch.equal(codes.sort().values, torch.arange(8**depth))


@pytest.mark.parametrize("curve", ["hilbert", "hilbert-trans"])
@pytest.mark.parametrize("depth", [1, 2, 3, 5])
def test_consecutive_hilbert_codes_are_face_neighbours(curve, depth):
    voxels = cube(depth)
    path = voxels[curve_code(voxels, depth, curve).argsort()]
    assert torch.equal(path.diff(dim=0).abs().sum(1), torch.ones(8**depth - 1, dtype=torch.int64))
    assert path[0].tolist() == [0, 0, 0]


def test_z_interleaves_bits_with_x_highest():
    assert curve_code(torch.tensor([[1, 0, 0], [0, 1, 0], [0, 0, 1]]), 1, "z").tolist() == [
        4,
        2,
        1,
    ]
    assert curve_code(torch.tensor([[2, 0, 0], [3, 1, 2]]), 2, "z").tolist() == [32, 0b101110]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 2**16 - 1)] * 3), min_size=1, max_size=20))
def test_z_codes_equal_interleaving_bit_by_bit(voxels):
    expected = [
        sum(
            (voxel[axis] >> bit & 1) << (3 * bit + 2 - axis)
            for axis in range(3)
            for bit in range(16)
        )
        for voxel in voxels
    ]
    assert curve_code(torch.tensor(voxels), 16, "z").tolist() == expected


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(*[st.integers(0, 2**16 - 2)] * 3), min_size=1, max_size=20, unique=True),
    st.sampled_from(["hilbert", "z"]),
)
def test_16_bits_an_axis_stay_distinct_and_trans_exchanges_x_and_y(voxels, curve):
    voxels = torch.tensor(voxels)
    codes = curve_code(voxels, 16, curve)
    assert len(codes.unique()) == len(voxels)
    assert int(codes.min()) >= 0 and int(codes.max()) < 2**48
    assert torch.equal(codes, curve_code(voxels[:, [1, 0, 2]], 16, f"{curve}-trans"))


def test_hilbert_corner_cube_of_a_deep_curve_is_a_small_curve():
    voxels = cube(2)
    codes = curve_code(voxels, 16, "hilbert")
    assert codes.max() == 63
    steps = voxels[codes.argsort()].diff(dim=0).abs().sum(1)
    assert np.all(steps.numpy() == 1)


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
def test_integer_types_agree(dtype):
    voxels = torch.randint(0, 2**12, (100, 3), generator=torch.Generator().manual_seed(0))
    for curve in CURVES:
        expected = curve_code(voxels, 12, curve)
        assert torch.equal(curve_code(voxels.to(dtype), 12, curve), expected)


def test_unknown_curve_and_depth_are_refused():
    with pytest.raises(ValueError, match="peano"):
        curve_code(cube(1), 1, "peano")
    with pytest.raises(ValueError, match="17"):
        curve_code(cube(1), 17, "z")

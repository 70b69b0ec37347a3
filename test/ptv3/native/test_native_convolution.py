# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Submanifold convolution by the compiled kernel, against sums over neighbours in float64."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from native_inputs import numbers, threads
from ptv3_inputs import convolution, voxels

from concerto_ros.ptv3.kernels.native import convolution as native
from concerto_ros.ptv3.kernels.native.convolution import NativeNeighbours
from concerto_ros.ptv3.kernels.neighbours import find_neighbours, voxel_keys

#: Rounding of a result and of a sum's terms, relative.
ROUNDING = {torch.float32: (1e-6, 1e-6), torch.bfloat16: (2**-8, 1e-6)}


@pytest.fixture(autouse=True)
def without_gradients(monkeypatch):
    """On a CPU with AMX as well, where PyTorch's products of bfloat16 are faster."""
    monkeypatch.setattr(native, "multiplies", lambda dtype: True)
    with torch.no_grad():
        yield


def neighbours_of(grid_coord: torch.Tensor, batch: torch.Tensor | None = None):
    batch = torch.zeros(len(grid_coord), dtype=torch.int64) if batch is None else batch
    largest = grid_coord.amax(0).tolist()
    keys, rows = torch.sort(voxel_keys(grid_coord, batch, largest))
    in_order = torch.equal(rows, torch.arange(len(rows)))
    return NativeNeighbours(keys, None if in_order else rows, largest)


def pairs_of(grid_coord: torch.Tensor, batch: torch.Tensor | None = None):
    """For each kernel offset, pairs (target, source) of rows, looked up one by one."""
    clouds = [0] * len(grid_coord) if batch is None else batch.tolist()
    places = [(cloud, *voxel) for cloud, voxel in zip(clouds, grid_coord.tolist(), strict=True)]
    row_of = {place: row for row, place in enumerate(places)}
    for offset in product((-1, 0, 1), repeat=3):
        found = []
        for target, (cloud, *voxel) in enumerate(places):
            source = row_of.get((cloud, *(v + d for v, d in zip(voxel, offset, strict=True))))
            if source is not None:
                found.append((target, source))
        yield torch.tensor(found, dtype=torch.int64).view(-1, 2).unbind(1)


def check(grid_coord, batch, width: int, out: int, dtype: torch.dtype, seed: int = 0) -> None:
    feat = numbers(len(grid_coord), width, seed=seed, dtype=dtype)
    matrices = numbers(27, width, out, seed=seed + 1, dtype=dtype)
    bias = numbers(out, seed=seed + 2, dtype=dtype)
    neighbours = neighbours_of(grid_coord, batch)
    assert neighbours.serves(feat, matrices, bias)
    ours = neighbours.convolve(feat, matrices, bias)
    wanted = bias.double().repeat(len(feat), 1)
    terms = wanted.abs()
    for matrix, (targets, sources) in zip(matrices, pairs_of(grid_coord, batch), strict=True):
        rows, matrix = feat[sources].double(), matrix.double()
        wanted.index_add_(0, targets, rows @ matrix)
        terms.index_add_(0, targets, rows.abs() @ matrix.abs())
    relative, of_terms = ROUNDING[dtype]
    assert ours.shape == (len(feat), out) and ours.dtype == dtype
    assert ((ours.double() - wanted).abs() <= relative * wanted.abs() + of_terms * terms).all()


def cube(side: int) -> torch.Tensor:
    return torch.cartesian_prod(*[torch.arange(side)] * 3)


CLOUDS = {
    "one voxel": torch.tensor([[3, 0, 7]]),
    "two voxels apart": torch.tensor([[0, 0, 2], [0, 0, 0]]),
    "a corner": torch.tensor([[1, 1, 1], [0, 0, 0]]),
    "a line": torch.tensor([[0, 0, 5], [0, 0, 4], [0, 0, 3]]),
    "all alone": 2 * cube(4),
    "a cube": cube(5),
    "in any order": voxels(300, 9, 0),
    "a block": voxels(512, 11, 1),
    "a block and a voxel": voxels(513, 11, 2),
    "more than two blocks": voxels(1100, 13, 3),
    "far apart": torch.tensor([[0, 0, 0], [65534, 65534, 65534], [65533, 65534, 65533]]),
}


@pytest.mark.parametrize("name", CLOUDS)
def test_equals_sums_over_neighbours_in_float64(precision, name):
    check(CLOUDS[name], None, 6, 10, precision)


@pytest.mark.parametrize("width", [2, 4, 16, 18, 34, 96])
@pytest.mark.parametrize("out", [1, 15, 16, 18, 33, 96, 100, 200])
def test_equals_float64_for_every_width(precision, width, out):
    check(voxels(40, 4, width), None, width, out, precision)


@given(
    st.lists(st.integers(1, 150), min_size=1, max_size=4), st.integers(2, 9),
    st.integers(1, 9), st.integers(1, 40), st.integers(0, 2**16),
)  # fmt: skip
@settings(max_examples=15)
def test_equals_float64_for_batches_in_any_order(precision, sizes, side, half_width, out, seed):
    parts = [voxels(min(size, side**3), side, seed + cloud) for cloud, size in enumerate(sizes)]
    batch = torch.repeat_interleave(
        torch.arange(len(parts)), torch.tensor([len(part) for part in parts])
    )
    grid_coord = torch.cat(parts)
    order = torch.randperm(len(batch), generator=torch.Generator().manual_seed(seed))
    check(grid_coord[order], batch[order], 2 * half_width, out, precision, seed)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_what_is_not_finite_reaches_exactly_its_neighbours(precision, value):
    grid_coord = voxels(700, 10, 0)
    feat = numbers(700, 18, dtype=precision)
    matrices, bias = numbers(27, 18, 20, dtype=precision), numbers(20, dtype=precision)
    neighbours = neighbours_of(grid_coord)
    clean = neighbours.convolve(feat, matrices, bias)
    feat[123, 17] = value
    ours = neighbours.convolve(feat, matrices, bias)
    near = (grid_coord - grid_coord[123]).abs().amax(1) <= 1
    assert 1 < near.sum() < 28
    assert torch.equal(ours[~near], clean[~near])
    assert not ours[near].isfinite().any()


def test_threads_and_repetition_change_no_bit(precision):
    grid_coord = voxels(1500, 14, 0)
    feat, matrices = numbers(1500, 6, dtype=precision), numbers(27, 6, 120, dtype=precision)
    found = []
    for count in (1, 2, 5, 1):
        with threads(count):
            neighbours = neighbours_of(grid_coord)
            found.append(neighbours.convolve(feat, matrices, matrices[0, 0]))
    assert all(torch.equal(found[0], other) for other in found[1:])


def test_tensors_are_taken_wherever_they_lie(precision):
    grid_coord = voxels(60, 5, 0)
    feat, matrices = numbers(60, 6, dtype=precision), numbers(27, 6, 12, dtype=precision)
    neighbours, bias = neighbours_of(grid_coord), matrices[0, :, 3].repeat(2)
    wanted = neighbours.convolve(feat, matrices, bias)
    strided = torch.stack([bias, bias + 1], 1)[:, 0]
    turned = matrices.transpose(1, 2).contiguous().transpose(1, 2)
    shifted = torch.cat([feat.new_zeros(1), feat.flatten()])[1:].view(60, 6)
    for same in (feat.t().contiguous().t(), shifted):
        assert torch.equal(neighbours.convolve(same, turned, strided), wanted)


def test_another_default_device_changes_nothing(precision):
    grid_coord = voxels(60, 5, 0)
    feat, matrices = numbers(60, 6, dtype=precision), numbers(27, 6, 12, dtype=precision)
    for neighbours in (neighbours_of(grid_coord), neighbours_of(cube(4)[:60])):
        wanted = NativeNeighbours(*vars(neighbours).values()).convolve(
            feat, matrices, matrices[0, 0]
        )
        with torch.device("meta"):
            ours = neighbours.convolve(feat, matrices, matrices[0, 0])
        assert torch.equal(ours, wanted)


@pytest.mark.parametrize("channels", [1, 5, 6])
def test_a_layer_equals_that_over_pairs(precision, channels):
    """Of an odd width as well, which goes the way of PyTorch."""
    grid_coord = voxels(600, 10, 0)
    layer, feat = convolution(channels, 0).to(precision), numbers(600, channels)
    neighbours = neighbours_of(grid_coord)
    matrices = numbers(27, channels, channels, dtype=precision)
    served = neighbours.serves(feat.to(precision), matrices, matrices[0, 0])
    assert served == (channels % 2 == 0)
    plain = layer(feat, find_neighbours(neighbours.keys, neighbours.rows, neighbours.largest))
    relative = 1e-5 if precision == torch.float32 else 2e-2
    torch.testing.assert_close(layer(feat, neighbours), plain, rtol=relative, atol=5 * relative)


@pytest.mark.parametrize("channels", [5, 6])
def test_gradients_are_those_over_pairs(channels):
    grid_coord, layer = voxels(100, 6, 0), convolution(channels, 0)
    neighbours = neighbours_of(grid_coord)
    gradients = []
    for found in (
        neighbours,
        find_neighbours(neighbours.keys, neighbours.rows, neighbours.largest),
    ):
        feat = numbers(100, channels).requires_grad_()
        with torch.enable_grad():
            loss = layer(feat, found).square().sum()
        gradients.append(torch.autograd.grad(loss, [feat, layer.weight, layer.bias]))
    assert all(map(torch.equal, *gradients))


def test_features_of_another_cloud_or_width_are_refused():
    neighbours = neighbours_of(voxels(100, 6, 0))
    with pytest.raises((IndexError, RuntimeError)):
        convolution(6, 0)(numbers(40, 6), neighbours)
    with pytest.raises(RuntimeError):
        convolution(6, 0)(numbers(100, 4), neighbours)


def test_weights_on_another_device_give_what_pytorch_gives():
    layer, neighbours = convolution(6, 0).to("meta"), neighbours_of(voxels(100, 6, 0))
    ours = layer(numbers(100, 6), neighbours)
    assert ours.device == layer(numbers(100, 6), neighbours.by_offset).device

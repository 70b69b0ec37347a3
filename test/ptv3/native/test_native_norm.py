# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Sums and poolings that are normalised by compiled kernels, against float64."""

from __future__ import annotations

import pytest
import torch
from native_inputs import numbers, threads
from torch import nn

from concerto_ros.ptv3.blocks import Norm
from concerto_ros.ptv3.cpu.onednn import GELU
from concerto_ros.ptv3.kernels import fused
from concerto_ros.ptv3.kernels.native.norm import add_norm, pool
from concerto_ros.ptv3.kernels.pooling import PaddedPooling, Pooling
from concerto_ros.ptv3.litept.batch_norm import BatchNorm

WIDTHS = [1, 2, 3, 7, 15, 16, 17, 18, 33, 54, 96, 130]
HALF = {torch.float32: 1e-6, torch.bfloat16: 2**-8}


@pytest.fixture(autouse=True)
def without_gradients():
    with torch.no_grad():
        yield


def norm_of(width: int, seed: int = 0, norm: type[nn.LayerNorm] = Norm) -> nn.LayerNorm:
    result = norm(width)
    result.weight.copy_(numbers(width, seed=seed))
    result.bias.copy_(numbers(width, seed=seed + 1))
    return result


def exact(norm: nn.LayerNorm, rows: torch.Tensor) -> torch.Tensor:
    weight, bias = norm.weight.double(), norm.bias.double()
    return nn.functional.layer_norm(rows.double(), norm.normalized_shape, weight, bias, norm.eps)


def pooling_of(sizes: list[int], seed: int = 0) -> Pooling:
    """Clusters of these sizes, whose rows are anywhere."""
    count = sum(sizes)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    starts = torch.tensor([0, *sizes]).cumsum(0)
    cluster = torch.empty_like(order)
    cluster[order] = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    return Pooling(cluster, order, starts)


@pytest.mark.parametrize("width", WIDTHS)
def test_sums_are_normalised(precision, width):
    feat, branch = numbers(300, width), numbers(300, width, seed=1, dtype=precision)
    norm, branch_norm = norm_of(width), norm_of(width, 5)
    for of_branch in (None, branch_norm):
        total, normed = add_norm(feat, branch, norm, of_branch)
        added = branch.double() if of_branch is None else exact(of_branch, branch)
        assert total.dtype == torch.float32 and normed.dtype == precision
        torch.testing.assert_close(total.double(), feat + added, rtol=1e-5, atol=1e-5)
        # From the sum as it was returned: one channel alone is a difference of what is rounded.
        wanted = exact(norm, total)
        torch.testing.assert_close(normed.double(), wanted, rtol=HALF[precision], atol=1e-5)


@pytest.mark.parametrize("value", [0.0, 0.1, -3.3, 12345.678, 1e-20])
@pytest.mark.parametrize("width", [18, 64, 7])
def test_rows_of_one_number_are_normalised_to_the_bias(precision, width, value):
    norm = norm_of(width)
    feat, none = torch.full((3, width), value), torch.zeros(3, width, dtype=precision)
    total, normed = add_norm(feat, none, norm)
    assert torch.equal(total, feat)
    wanted = norm.bias.expand(3, -1).to(precision)
    torch.testing.assert_close(normed, wanted, rtol=HALF[precision], atol=1e-5)
    pooled = pool(feat.to(precision), pooling_of([1, 2]), norm, GELU())
    wanted = nn.functional.gelu(norm.bias.double()).expand(2, -1)
    torch.testing.assert_close(pooled.double(), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("distance", [100.0, 1e4])
def test_rows_far_from_zero_keep_their_digits(distance):
    """Rounded inputs are exact ones: 12 bits after the point at the most."""
    feat = distance + torch.round(numbers(50, 54) * 64) / 64
    norm = norm_of(54)
    total, normed = add_norm(feat, torch.zeros_like(feat), norm)
    torch.testing.assert_close(normed.double(), exact(norm, feat), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("width", [6, 16, 18, 40])
def test_a_row_that_is_not_finite_harms_no_other(precision, width, value):
    feat, branch = numbers(40, width), numbers(40, width, seed=1, dtype=precision)
    norms = (norm_of(width), norm_of(width, 3))
    clean = add_norm(feat, branch, *norms)
    for rows in (feat, branch):
        kept = rows[7, width - 1].clone()
        rows[7, width - 1] = value
        for ours, before in zip(add_norm(feat, branch, *norms), clean, strict=True):
            others = torch.arange(40) != 7
            assert torch.equal(ours[others], before[others])
        assert ours[7].isnan().all()
        rows[7, width - 1] = kept


@pytest.mark.parametrize("width", WIDTHS)
def test_maxima_are_normalised_and_activated(precision, width):
    sizes = [1, 2, 8, 1, 3, 70, 1] * 50
    values = numbers(sum(sizes), width, dtype=precision)
    pooling, norm = pooling_of(sizes), norm_of(width)
    ours = pool(values, pooling, norm, GELU())
    assert ours.shape == (len(sizes), width) and ours.dtype == torch.float32
    wanted = nn.functional.gelu(exact(norm, pooling.reduce(values.float(), "max")))
    small = 1e-5 if precision == torch.float32 else 1e-3
    torch.testing.assert_close(ours.double(), wanted, rtol=small, atol=small)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("width", [6, 32, 50])
@pytest.mark.parametrize("member", [0, 1, 4])
def test_a_maximum_that_is_not_finite_is_kept_in_its_row(precision, width, value, member):
    pooling, norm = pooling_of([5] * 9), norm_of(width)
    values = numbers(45, width, dtype=precision)
    clean = pool(values, pooling, norm, GELU())
    values[pooling.order[5 * 3 + member], 2] = value
    ours = pool(values, pooling, norm, GELU())
    others = torch.arange(9) != 3
    assert torch.equal(ours[others], clean[others]) and ours[3].isnan().all()


def test_threads_and_repetition_change_no_bit(precision):
    feat, branch = numbers(1000, 18), numbers(1000, 18, seed=1, dtype=precision)
    pooling, norm = pooling_of([4] * 250), norm_of(18)
    found = []
    for count in (1, 2, 5, 1):
        with threads(count):
            found.append((*add_norm(feat, branch, norm), pool(branch, pooling, norm, GELU())))
    for other in found[1:]:
        assert all(map(torch.equal, found[0], other))


def test_rows_are_taken_wherever_they_lie(precision):
    norm, pooling = norm_of(18), pooling_of([2] * 20)
    feat, branch = numbers(18, 40).t(), numbers(40, 60, seed=1, dtype=precision)[:, 1:37:2]
    ours = add_norm(feat, branch, norm)
    theirs = add_norm(feat.contiguous(), branch.contiguous(), norm)
    assert all(map(torch.equal, ours, theirs))
    assert torch.equal(
        pool(branch, pooling, norm, GELU()), pool(branch.contiguous(), pooling, norm, GELU())
    )


def test_weights_in_half_precision_are_widened(precision):
    feat, branch = numbers(40, 18), numbers(40, 18, seed=1, dtype=precision)
    rough = norm_of(18).bfloat16()
    total, normed = add_norm(feat, branch, rough)
    torch.testing.assert_close(
        normed.double(), exact(rough, total), rtol=HALF[precision], atol=1e-5
    )


PLAIN_NORMS = {
    "no weights": lambda width: nn.LayerNorm(width, elementwise_affine=False),
    "no bias": lambda width: nn.LayerNorm(width, bias=False),
    "a weight as a column": lambda width: strided(norm_of(width, norm=nn.LayerNorm)),
}


def strided(norm: nn.LayerNorm) -> nn.LayerNorm:
    """The same, with weights that do not lie side by side in memory."""
    for name in ("weight", "bias"):
        value = getattr(norm, name)
        setattr(norm, name, nn.Parameter(torch.stack([value, value + 1], 1)[:, 0]))
    return norm


@pytest.mark.parametrize("name", PLAIN_NORMS)
def test_norms_with_other_weights_give_what_pytorch_gives(name):
    norm = PLAIN_NORMS[name](18)
    feat, branch, pooling = numbers(40, 18), numbers(40, 18, seed=1), pooling_of([2] * 20)
    for ours, plain in zip(
        add_norm(feat, branch, norm, norm), fused.add_norm(feat, branch, norm, norm), strict=True
    ):
        torch.testing.assert_close(ours, plain, rtol=1e-5, atol=1e-5)
    for act in (GELU(), nn.ReLU()):
        torch.testing.assert_close(
            pool(feat, pooling, norm, act), fused.pool(feat, pooling, norm, act)
        )


def test_batches_are_normalised_by_pytorch():
    norm = BatchNorm(18)
    norm.running_mean.copy_(numbers(18))
    values, pooling = numbers(40, 18), pooling_of([2] * 20)
    plain = fused.pool(values, pooling, norm, GELU())
    assert torch.equal(pool(values, pooling, norm, GELU()), plain)


def test_padded_poolings_are_those_of_pytorch():
    members = torch.arange(40).view(20, 2)
    padded, norm, values = PaddedPooling(members[:, 0], members), norm_of(18), numbers(40, 18)
    plain = fused.pool(values, padded, norm, GELU())
    assert torch.equal(pool(values, padded, norm, GELU()), plain)


def test_another_default_type_or_device_changes_nothing():
    norm, values, pooling = norm_of(18), numbers(40, 18), pooling_of([2] * 20)
    wanted = pool(values, pooling, norm, GELU())
    torch.set_default_dtype(torch.float64)
    try:
        ours = pool(values, pooling, norm, GELU())
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(ours, wanted)
    with torch.device("meta"):
        assert torch.equal(pool(values, pooling, norm, GELU()), wanted)


@pytest.mark.parametrize("shape", [(0, 18), (40, 0)])
def test_nothing_is_normalised_to_nothing(shape):
    norm = nn.LayerNorm(shape[1])
    total, normed = add_norm(torch.zeros(shape), torch.zeros(shape), norm)
    assert total.shape == normed.shape == shape


def test_hooks_see_what_is_normalised():
    norm, act, pooling = norm_of(18), GELU(), pooling_of([2] * 20)
    seen = []
    for module in (norm, act):
        module.register_forward_hook(lambda module, *_: seen.append(module))
    add_norm(numbers(40, 18), numbers(40, 18, seed=1), norm)
    pool(numbers(40, 18), pooling, norm, act)
    assert seen == [norm, norm, act]


def test_values_of_another_cloud_are_refused():
    with pytest.raises((IndexError, RuntimeError)):
        pool(numbers(7, 18), pooling_of([2] * 20), norm_of(18), GELU())


def test_sums_of_other_shapes_are_those_of_pytorch():
    feat, row, norm = numbers(40, 18), numbers(1, 18, seed=1), norm_of(18)
    for ours, plain in zip(
        add_norm(feat, row, norm), fused.add_norm(feat, row, norm), strict=True
    ):
        assert torch.equal(ours, plain)

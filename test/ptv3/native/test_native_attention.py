# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Attention within patches by the compiled kernel, against a softmax in float64."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from native_inputs import numbers, threads

from concerto_ros.ptv3.kernels.native.attention import attend

WIDTHS = [1, 3, 6, 7, 16, 18, 24, 32, 64]

#: Numbers of queries and keys of a patch, around those of vectors and of blocks.
SIZES = [
    (1, 1), (2, 2), (1, 17), (15, 15), (16, 16), (17, 2), (31, 33), (32, 32), (33, 31), (63, 64),
    (64, 63), (65, 65), (127, 129), (128, 128), (129, 127),
]  # fmt: skip

#: Largest error of weights and of a mean, relative to the mean of absolute values.
ROUNDING = {torch.float32: 1e-5, torch.bfloat16: 1e-2}


@pytest.fixture(autouse=True)
def without_gradients():
    with torch.no_grad():
        yield


def rows_of(patches: int, size: int, count: int, seed: int) -> torch.Tensor:
    """Rows of each patch, (patches, size), in any order, none twice in a patch."""
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([torch.randperm(count, generator=generator)[:size] for _ in range(patches)])


def exact(heads, queries, keys, mask, scale):
    """Softmax attention in float64, (P, Q, H, D), and the error that rounding may make in it."""
    query, key, value = heads.double().unbind(1)
    query, key, value = (
        part[rows].transpose(1, 2) for part, rows in ((query, queries), (key, keys), (value, keys))
    )
    scores = query @ key.transpose(2, 3) * scale
    sizes = query.abs() @ key.abs().transpose(2, 3) * abs(scale)
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    weights = scores.softmax(-1)
    error = ROUNDING[heads.dtype] + 1e-6 * sizes.nan_to_num().amax()
    bound = (weights @ value.abs()) * error + 1e-30
    return (weights @ value).transpose(1, 2), bound.transpose(1, 2)


def attended(heads, queries, keys, mask=None, scale=0.25) -> torch.Tensor:
    """The kernel's results of the queries, (P, Q, H, D); all other rows must stay as they were."""
    count, _, number, width = heads.shape
    mixed = heads.new_full((count, number * width), -77.0)
    attend(heads, queries, keys, mask, scale, mixed)
    others = torch.ones(count, dtype=torch.bool).index_fill(0, queries.flatten(), False)
    assert (mixed[others] == -77).all()
    return mixed[queries].unflatten(-1, (number, width))


def check(heads, queries, keys, mask=None, scale=0.25) -> None:
    ours = attended(heads, queries, keys, mask, scale)
    wanted, bound = exact(heads, queries, keys, mask, scale)
    assert ((ours.double() - wanted).abs() <= bound).all()


@pytest.mark.parametrize("width", WIDTHS)
def test_equals_a_softmax_in_float64(precision, width):
    for seed, (queries, keys) in enumerate(SIZES):
        heads = numbers(140, 3, 2, width, seed=seed, dtype=precision)
        order = rows_of(1, 140, 140, seed)[0]
        of_queries = order[:queries][None]
        check(heads, of_queries, order[140 - keys :][None])
        if queries == keys:
            check(heads, of_queries, of_queries)


def test_equals_a_softmax_in_patches_of_a_thousand(precision):
    heads = numbers(1100, 3, 1, 16, dtype=precision)
    rows = rows_of(1, 1024, 1100, 0)
    check(heads, rows, rows)


@given(
    st.integers(1, 4), st.integers(1, 70), st.integers(1, 140), st.integers(1, 3),
    st.integers(1, 40), st.floats(-3, 3, width=32), st.floats(0, 1), st.integers(0, 2**16),
)  # fmt: skip
@settings(max_examples=60)
def test_equals_a_softmax_whatever_the_patches_are(
    precision, patches, queries, keys, number, width, scale, share, seed
):
    count = patches * queries + keys
    heads = numbers(count, 3, number, width, seed=seed, dtype=precision)
    # Each row is a query once, as in a level.
    of_queries = rows_of(1, count, count, seed)[0][: patches * queries].view(patches, queries)
    of_keys = rows_of(patches, keys, count, seed + 1)
    generator = torch.Generator().manual_seed(seed)
    mask = torch.rand(patches, 1, 1, keys, generator=generator) < share
    mask[torch.arange(patches), 0, 0, torch.randint(keys, (patches,), generator=generator)] = True
    check(heads, of_queries, of_keys, None if share > 0.9 else mask, scale)


@pytest.mark.parametrize("own", [1, 5, 16, 64, 65, 100, 129, 130])
def test_keys_that_are_padding_count_for_nothing(precision, own):
    heads = numbers(260, 3, 2, 12, dtype=precision)
    rows = torch.arange(260).view(2, 130)
    mask = torch.ones(2, 1, 1, 130, dtype=torch.bool)
    mask[0, ..., own:] = False
    check(heads, rows, rows, mask)
    alone = attended(heads, rows[:1], rows[:1, :own])
    torch.testing.assert_close(
        attended(heads, rows, rows, mask)[:1], alone, rtol=ROUNDING[precision], atol=1e-3
    )
    mask[0] = mask[0].flip(-1)  # a whole block of padding comes first
    check(heads, rows, rows, mask)


def far_heads(precision: torch.dtype, scores: torch.Tensor) -> torch.Tensor:
    """Heads whose scores of all queries are these, plus small differences, at scale 1."""
    heads = numbers(len(scores), 3, 1, 8, dtype=precision)
    heads[:, 0, 0, 0] = 1
    heads[:, 1, 0, 0] = scores.to(precision)
    return heads


FAR = {
    "all high": lambda k: torch.full_like(k, 304),
    "all low": lambda k: torch.full_like(k, -304),
    "very low": lambda k: torch.full_like(k, -1e4),
    "rising in each block": lambda k: (k // 16) * 8,
    "falling": lambda k: 512 - (k // 16) * 8,
    "high late": lambda k: torch.where(k > 150, 304, -304),
    "low late": lambda k: torch.where(k > 150, -304, 304),
    "just within": lambda k: torch.where(k == 190, 27, -27),
    "just beyond": lambda k: torch.where(k == 190, 28, -28),
    "an outlier first": lambda k: torch.where(k == 3, 1e4, 0),
    "an outlier late": lambda k: torch.where(k == 197, 1e4, 0),
    "a low outlier": lambda k: torch.where(k == 70, -1e4, 0),
    "up and down": lambda k: torch.where((k // 64) % 2 == 1, 64, -64),
}


@pytest.mark.parametrize("name", FAR)
def test_scores_may_be_far_from_zero(precision, name):
    key = torch.arange(200.0)
    heads = far_heads(precision, FAR[name](key))
    rows = torch.arange(200)[None]
    check(heads, rows, rows, scale=1.0)
    mask = (key != 60)[None, None, None]
    check(heads, rows, rows, mask, scale=1.0)


def test_queries_of_one_vector_may_have_scores_of_any_size(precision):
    """One moves the shift of its block; the others must not lose their digits by that."""
    heads = far_heads(precision, torch.arange(150.0) - 75)
    heads[:, 0, 0, 0] = torch.linspace(-30, 30, 150).to(precision)
    rows = torch.arange(150)[None]
    check(heads, rows, rows, scale=1.0)


@pytest.mark.parametrize("value", [1e15, 1e17])
def test_scores_as_low_as_numbers_can_be(precision, value):
    heads = numbers(70, 3, 1, 4, dtype=precision)
    heads[:, 0], heads[:, 1] = value, -value
    rows = torch.arange(70)[None]
    mean = heads[:, 2].double().mean(0).expand(70, 1, 4)
    torch.testing.assert_close(attended(heads, rows, rows)[0].double(), mean, rtol=2e-2, atol=1e-5)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("position", [0, 40, 99])
def test_a_query_that_is_not_finite_harms_no_other_row(precision, value, position):
    heads = numbers(200, 3, 2, 7, dtype=precision)
    rows = torch.arange(200).view(2, 100)
    heads[100 + position, 0, 1, 3] = value
    ours = attended(heads, rows, rows)
    assert ours[1, position, 1].isnan().all()
    wanted, bound = exact(heads, rows, rows, None, 0.25)
    near = (ours.double() - wanted).abs() <= bound
    near[1, position, 1] = True
    assert near.all()


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("which", [1, 2], ids=["key", "value"])
@pytest.mark.parametrize("position", [0, 40, 98])
def test_a_key_or_value_that_is_not_finite_reaches_those_who_attend_to_it(
    precision, value, which, position
):
    heads = numbers(198, 3, 2, 7, dtype=precision)
    rows = torch.arange(198).view(2, 99)
    clean = attended(heads, rows, rows)
    heads[99 + position, which, 1, 3] = value
    ours = attended(heads, rows, rows)
    assert torch.equal(ours[0], clean[0]) and torch.equal(ours[1, :, 0], clean[1, :, 0])
    wanted, bound = exact(heads, rows, rows, None, 0.25)
    assert torch.equal(ours.isnan(), wanted.isnan())
    finite = wanted.isfinite()
    assert ((ours.double() - wanted).abs() <= bound)[finite].all()
    assert torch.equal(ours[~finite].nan_to_num(), wanted[~finite].to(precision).nan_to_num())


def none_of_all_bits(precision: torch.dtype) -> torch.Tensor:
    """What is not a number, with all bits set but the sign: rounding up would make it a zero."""
    integers = torch.int32 if precision == torch.float32 else torch.int16
    return torch.tensor(torch.iinfo(integers).max, dtype=integers).view(precision)


@pytest.mark.parametrize("which", [0, 1, 2], ids=["query", "key", "value"])
def test_what_is_not_a_number_stays_so_whatever_its_bits(precision, which):
    heads = numbers(40, 3, 1, 6, dtype=precision)
    rows = torch.arange(40)[None]
    heads[7, which, 0, 2] = none_of_all_bits(precision)
    wanted, _ = exact(heads, rows, rows, None, 0.25)
    assert torch.equal(attended(heads, rows, rows).isnan(), wanted.isnan())


@pytest.mark.parametrize("size", [1, 31, 100])
def test_the_mean_of_equal_rows_is_each_of_them(precision, size):
    heads = numbers(1, 3, 2, 9, dtype=precision).expand(size, -1, -1, -1)
    rows = torch.arange(size)[None]
    ours = attended(heads, rows, rows)[0]
    assert torch.equal(ours, ours[:1].expand_as(ours))
    torch.testing.assert_close(ours, heads[:, 2], rtol=ROUNDING[precision], atol=1e-6)


def test_threads_and_repetition_change_no_bit(precision):
    heads = numbers(600, 3, 3, 18, dtype=precision)
    rows = rows_of(1, 600, 600, 0).view(6, 100)
    found = []
    for count in (1, 2, 5, 1):
        with threads(count):
            found.append(attended(heads, rows, rows))
    assert all(torch.equal(found[0], other) for other in found[1:])


def test_a_patch_is_the_same_in_any_group(precision):
    heads = numbers(300, 3, 2, 18, dtype=precision)
    rows = rows_of(1, 300, 300, 0).view(3, 100)
    together = attended(heads, rows, rows)
    for patch in range(3):
        one = rows[patch : patch + 1]
        assert torch.equal(attended(heads, one, one)[0], together[patch])


def test_tensors_are_taken_wherever_they_lie(precision):
    heads = numbers(60, 3, 2, 16, dtype=precision)
    rows = rows_of(1, 60, 60, 0).view(2, 30)
    mask = (torch.arange(30) < 20).expand(2, 1, 1, 30)
    wanted = attended(heads, rows, rows, mask.contiguous())
    strided = heads.transpose(0, 3).contiguous().transpose(0, 3)
    columns = rows.t().contiguous().t()
    assert torch.equal(attended(strided, columns, columns, mask), wanted)

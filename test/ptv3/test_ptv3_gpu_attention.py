# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Attention on a GPU names its kernel, and gives what the plain formula gives.

The kernels run on a GPU alone. Without one, stand-ins that take the same arguments show which of
them is called, and compute the formula from what they are given.
"""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from concerto_ros.ptv3.kernels import gpu_attention
from concerto_ros.ptv3.kernels.gpu_attention import attend, score_bias


def inputs(width: int, dtype: torch.dtype = torch.float32, **options) -> list[torch.Tensor]:
    generator = None if options else torch.Generator().manual_seed(0)
    shapes = [(2, 3, rows, width) for rows in (5, 7, 7)]
    return [torch.randn(s, generator=generator, dtype=dtype, **options) for s in shapes]


def dense(query, key, value, mask, scale):
    scores = scale * query.double() @ key.double().transpose(2, 3)
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    return scores.softmax(-1) @ value.double()


MASK = torch.tensor([True] * 5 + [False] * 2)[None, None, None]


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("width", [1, 6, 16, 18])
def test_channels_of_zeros_change_no_attention(monkeypatch, width, masked):
    given, mask, widths = inputs(width), MASK if masked else None, []

    def plain(*parts, **options):
        widths.extend(part.shape[-1] for part in parts)
        return scaled_dot_product_attention(*parts, **options)

    monkeypatch.setattr(gpu_attention, "scaled_dot_product_attention", plain)
    result = attend(*given, attn_mask=mask, scale=0.3)
    expected = dense(*given, mask, 0.3).float()
    torch.testing.assert_close(result, expected, rtol=1e-5, atol=1e-6)
    assert len(widths) == 3 and all(padded % 8 == 0 and padded >= width for padded in widths)


@pytest.mark.parametrize("mask", [MASK, MASK.expand(2, 1, 1, 7), torch.ones(1, 1, 1, 32) > 0])
def test_the_bias_of_a_mask_removes_the_same_keys(mask):
    query, _, _ = inputs(8)
    key, value = torch.randn(2, 2, 3, mask.shape[-1], 8)
    bias = score_bias(mask, query)
    assert bias.shape == (2, 3, 5, mask.shape[-1])
    assert bias.stride(-1) == 1 and bias.stride(0) % 16 == 0  # where the kernel may load
    result = scaled_dot_product_attention(query, key, value, attn_mask=bias, scale=0.3)
    torch.testing.assert_close(result, dense(query, key, value, mask, 0.3).float())


@pytest.fixture
def kernels(monkeypatch):
    """Stand-ins for the kernels of a GPU, by the arguments that these have; what was called."""
    called: list[str] = []

    def flash(query, key, value, *, scale):
        called.append("flash")
        return dense(query, key, value, None, scale).to(query.dtype), None

    def efficient(query, key, value, bias, learning, *, scale):
        called.append("efficient, learning" if learning else "efficient")
        scores = scale * query.double() @ key.double().transpose(2, 3)
        scores = scores if bias is None else scores + bias.double()
        return (scores.softmax(-1) @ value.double()).to(query.dtype), None

    def by_choice_of_pytorch(*given, **options):
        called.append("any")
        return scaled_dot_product_attention(*given, **options)

    monkeypatch.setattr(gpu_attention, "_flash", flash)
    monkeypatch.setattr(gpu_attention, "_efficient", efficient)
    monkeypatch.setattr(gpu_attention, "scaled_dot_product_attention", by_choice_of_pytorch)
    monkeypatch.setattr(gpu_attention, "can_use_efficient_attention", lambda _: True)
    # As on a GPU of compute capability 8.0 or later.
    monkeypatch.setattr(gpu_attention, "can_use_flash_attention", lambda _: True)
    return called


@pytest.mark.parametrize("mask", [None, MASK])
@pytest.mark.parametrize("flash_fits", [True, False])
def test_a_kernel_is_named_that_takes_the_arguments(monkeypatch, kernels, flash_fits, mask):
    monkeypatch.setattr(gpu_attention, "can_use_flash_attention", lambda _: flash_fits)
    given = inputs(18)
    result = attend(*given, attn_mask=mask, scale=0.3)
    assert kernels == ["flash" if flash_fits and mask is None else "efficient"]
    torch.testing.assert_close(result, dense(*given, mask, 0.3).float())
    given[1].requires_grad_()
    attend(*given, attn_mask=MASK, scale=0.3).sum().backward()
    assert kernels[1:] == ["efficient, learning"]
    with torch.no_grad():
        attend(*given, attn_mask=MASK, scale=0.3)
    assert kernels[2:] == ["efficient"]


def test_where_no_kernel_fits_pytorch_chooses(monkeypatch, kernels):
    for name in ("can_use_flash_attention", "can_use_efficient_attention"):
        monkeypatch.setattr(gpu_attention, name, lambda _: False)
    attend(*inputs(8), attn_mask=MASK, scale=0.3)
    assert kernels == ["any"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_the_kernels_compute_the_plain_formula(dtype):
    for mask in (None, MASK.cuda()):
        given = inputs(18, dtype, device="cuda")
        result = attend(*given, attn_mask=mask, scale=0.3)
        expected = dense(*given, mask, 0.3)
        error = (result.double() - expected).norm() / expected.norm()
        assert error < (1e-5 if dtype == torch.float32 else 1e-2)

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Linear layers by the compiled kernel, against float64."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from native_inputs import numbers, threads
from torch import nn
from torch.nn.utils import prune

from concerto_ros.ptv3.cpu.onednn import Linear
from concerto_ros.ptv3.kernels import fused
from concerto_ros.ptv3.kernels.native import linear as native
from concerto_ros.ptv3.kernels.native.linear import linear, mlp

#: Rounding of a result and of a sum's terms, relative.
ROUNDING = {torch.float32: (1e-6, 1e-6), torch.bfloat16: (2**-8, 1e-6)}


@pytest.fixture(autouse=True)
def without_gradients(monkeypatch):
    """On a CPU with AMX as well, where PyTorch's products of bfloat16 are faster."""
    monkeypatch.setattr(native, "multiplies", lambda dtype: True)
    with torch.no_grad():
        yield


def layer_of(width: int, out: int, dtype: torch.dtype, *, bias: bool = True, seed: int = 0):
    layer = Linear(width, out, bias=bias).to(dtype)
    layer.weight.copy_(numbers(out, width, seed=seed))
    if bias:
        layer.bias.copy_(numbers(out, seed=seed + 1))
    return layer


def exact(layer: nn.Linear, feat: torch.Tensor, gelu: bool) -> torch.Tensor:
    bias = None if layer.bias is None else layer.bias.double()
    rows = feat.to(layer.weight.dtype).double()
    result = nn.functional.linear(rows, layer.weight.double(), bias)
    return nn.functional.gelu(result) if gelu else result


def check(layer: nn.Linear, feat: torch.Tensor, gelu: bool) -> None:
    ours = linear(layer, feat, gelu=gelu)
    assert ours.shape == (len(feat), layer.out_features) and ours.dtype == layer.weight.dtype
    relative, of_terms = ROUNDING[layer.weight.dtype]
    wanted = exact(layer, feat, gelu)
    terms = feat.double().abs() @ layer.weight.double().abs().t() + 5
    allowed = relative * wanted.abs() + of_terms * terms
    if gelu and layer.weight.dtype == torch.bfloat16:
        allowed += 1e-4
    assert ((ours.double() - wanted).abs() <= allowed).all()


@pytest.mark.parametrize("gelu", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_equals_float64(precision, bias, gelu):
    for rows in (1, 2, 7, 8, 9, 40):
        for width in (1, 2, 9, 16, 33, 40):
            for out in (1, 3, 16, 17, 32, 48, 95, 97, 193):
                layer = layer_of(width, out, precision, bias=bias, seed=rows)
                check(layer, numbers(rows, width, seed=out, dtype=precision), gelu)


@given(st.integers(1, 40), st.integers(1, 130), st.integers(1, 300), st.booleans(), st.booleans())
@settings(max_examples=60)
def test_equals_float64_in_every_shape(precision, rows, width, out, bias, gelu):
    check(layer_of(width, out, precision, bias=bias), numbers(rows, width, seed=3), gelu)


def test_equals_float64_in_many_rows(precision):
    check(layer_of(10, 100, precision), numbers(2000, 10, dtype=precision), gelu=True)


def test_features_in_float32_are_rounded_as_pytorch_does(precision):
    layer, feat = layer_of(33, 50, precision), 3 * numbers(41, 33)
    assert torch.equal(linear(layer, feat), linear(layer, feat.to(precision)))


def test_gelu_of_extreme_numbers(precision):
    layer = layer_of(1, 1, precision, bias=False)
    layer.weight.fill_(1)
    values = torch.tensor([0.0, -0.0, 1e-30, -1e-30, 5, -5, 50, -50, 1e4, -1e4, 1e20, -1e20])
    ours = linear(layer, values[:, None], gelu=True).flatten()
    wanted = nn.functional.gelu(values.to(precision).double())
    torch.testing.assert_close(
        ours.double(),
        wanted,
        rtol=ROUNDING[precision][0],
        atol=1e-6 if precision.itemsize > 2 else 1e-4,
    )
    # Nothing that is not finite may look as if it were, so PyTorch's GELU of -inf is none either.
    wild = torch.tensor([torch.nan, torch.inf, -torch.inf])[:, None]
    ours = linear(layer, wild, gelu=True).flatten().float()
    assert torch.equal(ours.nan_to_num(1, 2, 3), torch.tensor([1.0, 2.0, 1.0]))
    assert torch.equal(linear(layer, wild).float().nan_to_num(1, 2, 3), wild.nan_to_num(1, 2, 3))


def test_gelu_is_that_of_float64_everywhere(precision):
    layer = layer_of(1, 1, precision, bias=False)
    layer.weight.fill_(1)
    check(layer, torch.linspace(-12, 12, 9001)[:, None].to(precision), gelu=True)


@pytest.mark.parametrize("gelu", [False, True])
@pytest.mark.parametrize("width", [7, 16])
def test_what_is_not_a_number_stays_in_its_row(precision, width, gelu):
    layer, feat = layer_of(width, 50, precision), numbers(30, width, dtype=precision)
    clean = linear(layer, feat, gelu=gelu)
    feat[11, width - 1] = torch.nan
    ours = linear(layer, feat, gelu=gelu)
    others = torch.arange(30) != 11
    assert torch.equal(ours[others], clean[others]) and ours[11].isnan().all()
    feat[11, width - 1] = 0
    layer.weight[23, 0] = torch.nan
    ours = linear(layer, feat, gelu=gelu)
    others = torch.arange(50) != 23
    assert ours[:, 23].isnan().all() and torch.equal(ours[:11, others], clean[:11, others])


def test_what_is_not_a_number_stays_so_whatever_its_bits(precision):
    layer, feat = layer_of(6, 20, precision), numbers(5, 6)
    feat[3, 2] = torch.tensor(torch.iinfo(torch.int32).max, dtype=torch.int32).view(torch.float32)
    ours = linear(layer, feat)
    assert ours[3].isnan().all() and ours.isfinite().sum() == 4 * 20


def test_threads_and_repetition_change_no_bit(precision):
    layer, feat = layer_of(18, 200, precision), numbers(3000, 18, dtype=precision)
    found = []
    for count in (1, 2, 5, 1):
        with threads(count):
            found.append(linear(layer, feat, gelu=True))
    assert all(torch.equal(found[0], other) for other in found[1:])


def test_a_row_is_the_same_in_any_cloud(precision):
    layer, feat = layer_of(18, 100, precision), numbers(1000, 18, dtype=precision)
    whole = linear(layer, feat, gelu=True)
    for rows in (slice(0, 1), slice(3, 90), slice(700, 1000)):
        assert torch.equal(linear(layer, feat[rows], gelu=True), whole[rows])


def test_tensors_are_taken_wherever_they_lie(precision):
    layer, feat = layer_of(18, 20, precision), numbers(40, 18, dtype=precision)
    wanted = linear(layer, feat)
    shifted = torch.cat([feat.new_zeros(1), feat.flatten()])[1:].view(40, 18)
    for same in (feat.t().contiguous().t(), torch.stack([feat, feat], 2)[..., 0], shifted):
        assert torch.equal(linear(layer, same), wanted)
    for name in ("weight", "bias"):
        value = getattr(layer, name)
        setattr(layer, name, nn.Parameter(torch.stack([value, value + 1], -1)[..., 0]))
    assert torch.equal(linear(layer, feat), wanted)


def test_an_mlp_is_two_layers_with_a_gelu_between(precision):
    first, second = layer_of(18, 70, precision), layer_of(70, 18, precision, seed=5)
    feat = numbers(40, 18)
    assert torch.equal(mlp(first, second, feat), linear(second, linear(first, feat, gelu=True)))


class Adapted(Linear):
    """A layer with low-rank weights beside its own."""

    def forward(self, feat: torch.Tensor, *, gelu: bool = False) -> torch.Tensor:
        return super().forward(feat, gelu=gelu) + 1


def pruned(layer: Linear) -> Linear:
    prune.random_unstructured(layer, "weight", 0.5)
    layer.weight_orig.mul_(2)  # its weight follows when the layer is called
    return layer


@pytest.mark.parametrize("gelu", [False, True])
@pytest.mark.parametrize("name", ["subclass", "pruned", "float64", "float16", "three dimensions"])
def test_other_layers_and_features_go_their_own_way(name, gelu):
    layer, feat = layer_of(18, 20, torch.float32), numbers(40, 18)
    if name == "subclass":
        layer.__class__ = Adapted
    elif name == "pruned":
        layer = pruned(layer)
    elif name == "three dimensions":
        feat = feat.view(4, 10, 18)
    else:
        layer, feat = (part.to(getattr(torch, name)) for part in (layer, feat))
    ours = linear(layer, feat, gelu=gelu)
    assert torch.equal(ours, fused.linear(layer, feat, gelu=gelu))


@pytest.mark.parametrize("width", [17, 19])
def test_features_of_another_width_are_refused(width):
    with pytest.raises(RuntimeError):
        linear(layer_of(18, 20, torch.float32), numbers(40, width))


def test_weights_on_another_device_give_what_pytorch_gives():
    layer, feat = layer_of(18, 20, torch.float32).to("meta"), numbers(40, 18)
    assert linear(layer, feat).device == fused.linear(layer, feat).device


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
@pytest.mark.parametrize("rows, out", [(0, 20), (40, 0)])
def test_nothing_is_mapped_to_nothing(rows, out):
    assert linear(Linear(18, out), torch.zeros(rows, 18), gelu=True).shape == (rows, out)

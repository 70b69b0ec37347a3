# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Products of training by another library: the same values and gradients as PyTorch's."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from training_data import INDOOR, box_scan, small_encoder

from concerto_ros.learning.data.batch import make_batch
from concerto_ros.learning.training import openblas
from concerto_ros.ptv3.cpu.matmul import LinearFunction, multiply, replace_products

BATCH = make_batch([box_scan(0, 500), box_scan(1, 60)], INDOOR, 0.1)


@pytest.fixture
def asked():
    """Has products done by OpenBLAS; the shapes of what it was asked for."""
    shapes = []

    def product(left, right, out):
        shapes.append(tuple(out.shape))
        openblas.product(left, right, out)

    replace_products(product)
    yield shapes
    replace_products(None)


def gradients(encoder):
    encoder.zero_grad()
    pyramid = encoder(BATCH.feat, BATCH.grid_coord, BATCH.coord, BATCH.offset)
    sum((feat**2).sum() for feat in pyramid.feats).backward()
    return [feat.detach() for feat in pyramid.feats], [p.grad for p in encoder.parameters()]


def test_features_and_gradients_are_those_of_pytorch(asked):
    encoder = small_encoder().requires_grad_(True)
    ours = gradients(encoder)
    assert len(asked) > 100
    replace_products(None)
    count = len(asked)
    for mine, theirs in zip(ours, gradients(encoder), strict=True):
        for own, other in zip(mine, theirs, strict=True):
            assert torch.allclose(own, other, rtol=1e-3, atol=1e-3 * other.abs().max())
    assert len(asked) == count


@pytest.mark.parametrize("rows", [0, 1, 7])
@pytest.mark.parametrize("bias", [True, False])
def test_a_layer_of_any_number_of_rows(asked, rows, bias):
    generator = torch.Generator().manual_seed(rows)
    layer = torch.nn.Linear(5, 3, bias=bias)
    feat = torch.randn(rows, 5, generator=generator, requires_grad=True)
    result = LinearFunction.apply(feat, layer.weight, layer.bias)
    assert torch.allclose(result, layer(feat), atol=1e-6)
    assert asked
    wanted = torch.autograd.grad(layer(feat).sum(), [feat, *layer.parameters()])
    found = torch.autograd.grad(result.sum(), [feat, *layer.parameters()])
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(found, wanted, strict=True))


def test_only_float32_is_given_away(asked):
    for dtype in (torch.float64, torch.bfloat16):
        left = torch.ones(2, 3, dtype=dtype)
        assert multiply(left, left.t(), left[0, :2]).dtype == dtype
    assert not asked
    out = torch.empty(2, 2)
    assert multiply(torch.ones(2, 3), torch.ones(3, 2), torch.ones(2), out=out) is out
    assert torch.equal(out, torch.full((2, 2), 4.0)) and asked == [(2, 2)]


def test_a_process_with_the_environment_multiplies_right():
    program = (
        "import torch; from concerto_ros.learning.training.openblas import product\n"
        "a = torch.arange(2000.).view(40, 50) / 99; out = torch.empty(40, 40)\n"
        "product(a, a.t(), out); print(torch.allclose(out.double(), a.double() @ a.double().t()))"
    )
    given = openblas.environment()
    assert given["OPENBLAS_NUM_THREADS"] == "1"
    command = ["env", *(f"{name}={value}" for name, value in given.items())]
    command += [sys.executable, "-c", program]
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "True"

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""In which precision heads and trainings compute, by device; and training in bfloat16."""

from __future__ import annotations

import pytest
import torch
from ptv3_inputs import CONFIG, batch_of

from concerto_ros.ptv3 import build_hierarchy
from concerto_ros.ptv3.checkpoint import untrained_encoder
from concerto_ros.ptv3.kernels.backends import PAIRS, TABLE
from concerto_ros.ptv3.precision import head_precision, training_precision

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)


def test_a_head_is_float32_on_a_gpu_and_like_its_encoder_on_a_cpu():
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        assert head_precision(GPU, dtype) == torch.float32
        assert head_precision(CPU, dtype) == dtype


@pytest.mark.parametrize(
    ("device", "capability", "expected"),
    [(GPU, (8, 0), True), (GPU, (7, 5), False), (CPU, (8, 0), False)],
)
def test_a_training_is_in_bfloat16_where_a_gpu_has_it(monkeypatch, device, capability, expected):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    monkeypatch.setattr(torch, "autocast", lambda *given: given)
    under = training_precision(device)
    assert (under == ("cuda", torch.bfloat16)) is expected


@pytest.mark.parametrize("backend", [PAIRS, TABLE], ids=["pairs", "table"])
def test_gradients_under_autocast_are_those_of_float32_to_the_digits_of_bfloat16(backend):
    """Convolutions take part, although autocast knows only PyTorch's own functions."""
    encoder = untrained_encoder(CONFIG, name="test")
    hierarchy = build_hierarchy(*batch_of(200), CONFIG, backend)
    feat = torch.randn(200, 9, generator=torch.Generator().manual_seed(0))
    types = []
    convolution = encoder.enc["enc0"]["block0"].cpe[0]
    convolution.register_forward_hook(lambda *parts: types.append(parts[-1].dtype))
    gradients = []
    for enabled in (False, True):
        encoder.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            features = encoder.forward_features(feat, hierarchy).upcast(None)
            assert features.dtype == torch.float32
            features.square().mean().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in encoder.parameters()]))
    assert types == [torch.float32, torch.bfloat16]
    assert all(p.dtype == p.grad.dtype == torch.float32 for p in encoder.parameters())
    exact, ours = gradients
    assert 1e-5 < (ours - exact).norm() / exact.norm() < 0.05

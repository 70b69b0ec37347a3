# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""In which precision heads and trainings compute, by device; training in bfloat16; float16."""

from __future__ import annotations

import pytest
import torch
from ptv3_inputs import CONFIG, batch_of

from benchmarks.scenes import model_input, scanned_scene
from concerto_ros import SemanticPipeline
from concerto_ros.ptv3 import build_hierarchy
from concerto_ros.ptv3.checkpoint import untrained_encoder
from concerto_ros.ptv3.kernels import neighbour_table
from concerto_ros.ptv3.kernels.backends import PAIRS, TABLE
from concerto_ros.ptv3.kernels.sparse_conv import SubmanifoldConv
from concerto_ros.ptv3.precision import head_precision, training_precision
from concerto_ros.settings.settings import Settings

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


@pytest.mark.parametrize("preset", ["indoor", "outdoor"])
@torch.inference_mode()
def test_the_bundled_models_stay_far_from_the_largest_number_of_float16(preset):
    """What ``precision: float16`` is offered for: GPUs without instructions for bfloat16."""
    encoder = SemanticPipeline.from_settings(
        Settings(device="cpu", precision="float32", preset=preset)
    ).encoder
    largest = []

    def note(module, given, result):
        largest.extend((float(given[0].abs().max()), float(result.abs().max())))

    products = [
        part.register_forward_hook(note)
        for part in encoder.modules()
        if isinstance(part, (SubmanifoldConv, torch.nn.Linear))
    ]
    feat, *voxels = model_input(scanned_scene(600))
    hierarchy = build_hierarchy(*voxels, encoder.config, TABLE)
    exact = encoder.forward_features(feat, hierarchy).feats
    assert len(largest) > 50 and max(largest) < torch.finfo(torch.float16).max / 500
    for product in products:
        product.remove()
    for ours, theirs in zip(
        encoder.half().forward_features(feat, hierarchy).feats, exact, strict=True
    ):
        assert 0 < (ours - theirs).norm() <= 2e-3 * theirs.norm()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_long_sums_of_half_precision_are_float32_on_cuda(monkeypatch, dtype):
    """By a product with a float32 result, a stand-in of which is called here."""
    called = []

    def wide_product(rows, weight, out_dtype):
        called.append(out_dtype)
        return rows.to(out_dtype) @ weight.to(out_dtype)

    class OnCuda(torch.Tensor):
        is_cuda = True
        __torch_function__ = torch._C._disabled_torch_function_impl

    monkeypatch.setattr(neighbour_table, "_wide_product", wide_product)
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(40, 27 * 6, generator=generator).to(dtype)
    weight, bias = (torch.randn(*s, generator=generator).to(dtype) for s in ((5, 27 * 6), (5,)))
    result = neighbour_table._product(rows.as_subclass(OnCuda), weight, bias)
    assert called == ([] if dtype == torch.float32 else [torch.float32])
    exact = rows.double() @ weight.double().t() + bias.double()
    assert result.dtype == dtype
    # One rounding of the whole sum, and those of the float32 sums.
    torch.testing.assert_close(
        result.double(), exact, rtol=0.6 * torch.finfo(dtype).eps, atol=1e-4
    )


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

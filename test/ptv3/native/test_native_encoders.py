# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Whole encoders on the compiled kernels against PyTorch's operators, which do the rest."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from litept_models import SMALL, encoder_of
from native_inputs import numbers, threads
from ptv3_inputs import CONFIG, batch_of
from torch._subclasses.fake_tensor import FakeTensorMode

from benchmarks.scenes import model_input, scanned_scene
from concerto_ros.ptv3 import Encoder, load_encoder
from concerto_ros.ptv3.checkpoint import untrained_encoder
from concerto_ros.ptv3.kernels.native import calls
from concerto_ros.ptv3.kernels.native.library import library, why_not

WIDE = dataclasses.replace(
    CONFIG,
    order=("z", "z-trans", "hilbert", "hilbert-trans"),
    enc_channels=(18, 24, 54),
    enc_num_head=(1, 2, 3),
    enc_patch_size=(48, 70, 32),
)
CONFIGS = {
    "narrow": CONFIG,
    "wide": WIDE,
    "rotary": dataclasses.replace(WIDE, rotary=True),
    "after": dataclasses.replace(WIDE, pre_norm=False),
    "decoder": WIDE.with_decoder(
        dec_depths=(1, 1), dec_channels=(20, 36), dec_num_head=(2, 3), dec_patch_size=(30, 40)
    ),
    "LitePT": SMALL,
    "LitePT with attention everywhere": dataclasses.replace(
        SMALL, enc_attn=(True, False, True), enc_conv=(True, False, True), enc_num_head=(3, 2, 6),
        enc_mode=True,
    ),
}  # fmt: skip

CLOUDS = {"one voxel": (1,), "a cloud": (400,), "a batch": (500, 3, 90, 48)}


@pytest.fixture(autouse=True)
def where_there_are_kernels():
    if library() is None:
        pytest.skip(why_not())


def encoder_named(name: str) -> Encoder:
    if name == "bundled":
        return load_encoder("demo")
    config = CONFIGS[name]
    return encoder_of(config) if name.startswith("LitePT") else untrained_encoder(config, name="a")


def cloud_for(encoder: Encoder, *sizes: int, seed: int = 0):
    grid_coord, coord, offset = batch_of(*sizes, seed=seed)
    feat = numbers(len(coord), encoder.config.in_channels, seed=seed)
    return feat, grid_coord, coord, offset


def by(backend: str, encoder: Encoder, arguments) -> torch.Tensor:
    encoder.backend = backend
    return encoder(*arguments).upcast(None)


def off(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return float((ours - theirs).norm() / theirs.norm())


@pytest.mark.parametrize("name", ["bundled", *CONFIGS])
@torch.inference_mode()
def test_an_encoder_computes_the_same(precision, name, monkeypatch):
    encoder = encoder_named(name)
    called = []
    call = calls._function
    monkeypatch.setattr(
        calls, "_function", lambda name, types: called.append(name) or call(name, types)
    )
    for sizes in CLOUDS.values():
        arguments = cloud_for(encoder, *sizes)
        exact = by("torch", encoder.float(), arguments)
        called.clear()
        ours = by("native", encoder.to(precision), arguments)
        assert "concerto_attend" in called
        assert ours.dtype == torch.float32
        if precision == torch.float32:
            torch.testing.assert_close(
                ours, exact, rtol=1e-5, atol=1e-5 * float(exact.abs().max())
            )
        else:
            assert 0 < off(ours, exact) < 2e-2


@torch.inference_mode()
def test_labels_of_a_room_rest_on_the_same_features(precision):
    encoder = load_encoder("demo")
    arguments = model_input(scanned_scene(1500))
    exact = by("torch", encoder, arguments)
    ours = by("native", encoder.to(precision), arguments)
    assert off(ours, exact) < (1e-5 if precision == torch.float32 else 2e-2)


@torch.inference_mode()
def test_the_same_cloud_gives_the_same_bits(precision):
    """Whatever came before, and however many threads there are."""
    encoder = encoder_named("wide").to(precision)
    arguments = cloud_for(encoder, 300, 90)
    first = by("native", encoder, arguments)
    for count, sizes in ((1, (700,)), (5, (1, 2)), (2, (90, 300))):
        by("native", encoder, cloud_for(encoder, *sizes, seed=count))
        with threads(count):
            assert torch.equal(by("native", encoder, arguments), first)


@torch.inference_mode()
def test_a_voxel_that_is_not_a_number_stays_in_its_cloud(precision):
    encoder = encoder_named("wide").to(precision)
    feat, grid_coord, coord, offset = cloud_for(encoder, 300, 90)
    clean = by("native", encoder, (feat, grid_coord, coord, offset))
    feat[310, 4] = torch.nan
    ours = by("native", encoder, (feat, grid_coord, coord, offset))
    assert torch.equal(ours[:300], clean[:300]) and ours[310].isnan().all()


def outcome(encoder: Encoder, way: str, arguments, backend: str):
    """What a way of computing gives, or the kind of its error."""
    encoder.backend = backend
    with torch.no_grad():
        hierarchy = encoder.hierarchy(*arguments[1:])
    feat = arguments[0]
    try:
        if way == "gradients":
            feat = feat.clone().requires_grad_()
            features = encoder.forward_features(feat, hierarchy).upcast(None)
            return torch.autograd.grad(features.square().mean(), feat)[0]
        with torch.no_grad():
            if way == "autocast":
                with torch.autocast("cpu", torch.bfloat16):
                    return encoder.forward_features(feat, hierarchy).upcast(None)
            if way == "float64":
                encoder.double()
            elif way == "float16":
                encoder.half()
            elif way == "FakeTensorMode":
                with FakeTensorMode(allow_non_fake_inputs=True) as mode:
                    fake = encoder.forward_features(mode.from_tensor(feat), hierarchy).top.feat
                return type(fake), fake.shape
            elif way == "FakeTensorMode around tensors":
                with FakeTensorMode(allow_non_fake_inputs=True):
                    fake = encoder.forward_features(feat, hierarchy).top.feat
                return type(fake), fake.shape
            elif way == "weights on another device":
                encoder.to("meta")
            elif way == "features on another device":
                feat = feat.to("meta")
            return encoder.forward_features(feat, hierarchy).upcast(None)
    except Exception as error:
        return type(error)


@pytest.mark.parametrize(
    "way",
    [
        "gradients", "autocast", "float64", "float16", "FakeTensorMode",
        "FakeTensorMode around tensors", "weights on another device", "features on another device",
    ],
)  # fmt: skip
def test_what_the_kernels_do_not_compute_pytorch_does(way):
    arguments = cloud_for(encoder_named("narrow"), 200)
    ours, theirs = (
        outcome(encoder_named("narrow"), way, arguments, backend)
        for backend in ("native", "torch")
    )
    if isinstance(theirs, torch.Tensor) and theirs.device.type == "cpu":
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    else:
        assert ours == theirs or ours.device == theirs.device


def test_features_after_a_training_are_computed_again_by_the_kernels():
    """The pairs for gradients and those of the kernels are of the same hierarchy."""
    encoder = encoder_named("narrow")
    arguments = cloud_for(encoder, 200)
    encoder.backend = "native"
    hierarchy = encoder.hierarchy(*arguments[1:])
    with torch.inference_mode():
        before = encoder.forward_features(arguments[0], hierarchy).top.feat
    trained = encoder.forward_features(arguments[0], hierarchy).top.feat
    trained.square().mean().backward()
    assert all(parameter.grad is not None for parameter in encoder.parameters())
    with torch.no_grad():
        after = encoder.forward_features(arguments[0], hierarchy).top.feat
    assert torch.equal(after, before)
    torch.testing.assert_close(trained.detach(), before, rtol=1e-4, atol=1e-5)

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The CPU kernels as they are compiled for this CPU, and for those with shorter vectors."""

from __future__ import annotations

import dataclasses
import platform
from functools import cache
from pathlib import Path

import pytest
import torch
from ptv3_inputs import batch_of
from torch.nn import LayerNorm

from concerto_ros.ptv3 import PTv3Config
from concerto_ros.ptv3.checkpoint import untrained_encoder
from concerto_ros.ptv3.cpu.onednn import GELU, Linear
from concerto_ros.ptv3.kernels import fused
from concerto_ros.ptv3.kernels.native import calls, compiler
from concerto_ros.ptv3.kernels.native import linear as native_linear
from concerto_ros.ptv3.kernels.native import norm as native_norm
from concerto_ros.ptv3.kernels.native.compiler import CompilerError
from concerto_ros.ptv3.kernels.native.library import SOURCES, load
from concerto_ros.ptv3.kernels.pooling import Pooling

CONFIG = PTv3Config(
    in_channels=9,
    order=("z", "z-trans", "hilbert", "hilbert-trans"),
    stride=(2, 2),
    enc_depths=(2, 1, 2),
    enc_channels=(18, 24, 54),
    enc_num_head=(1, 2, 3),
    enc_patch_size=(48, 70, 32),
    enc_mode=True,
)

#: What such a compiler is told, and what /proc/cpuinfo must say for its code to run here.
ARCHITECTURES = {
    "x86-64-v2": {"ssse3", "sse4_1", "sse4_2", "popcnt"},
    "native": set(),
    "haswell": {"avx2", "fma", "bmi1", "bmi2", "movbe", "f16c"},
}


def abilities() -> set[str]:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return set(next((line for line in lines if line.startswith("flags")), "").split())


@pytest.fixture(scope="module", params=ARCHITECTURES)
def compiled(request):
    """The library for one kind of CPU, from the cache folder where it was made before."""
    native = request.param == "native"
    if not native and platform.machine() != "x86_64":
        pytest.skip("this is no x86")
    if not ARCHITECTURES[request.param] <= abilities():
        pytest.skip(f"this CPU cannot execute code for {request.param}")
    try:
        return load(SOURCES, compiler.ARCHITECTURES if native else [f"-march={request.param}"])
    except CompilerError as error:
        pytest.skip(str(error))


@pytest.fixture
def used(compiled, monkeypatch):
    """Lets the kernels of this library compute; each time that one is looked for."""
    asked = []
    monkeypatch.setattr(calls, "library", lambda: asked.append(1) or compiled)
    for name in ("_function", "has_kernels"):
        monkeypatch.setattr(calls, name, cache(getattr(calls, name).__wrapped__))
    return asked


@torch.inference_mode()
@pytest.mark.parametrize("rotary", [False, True])
def test_an_encoder_computes_the_same_by_them(used, rotary):
    encoder = untrained_encoder(dataclasses.replace(CONFIG, rotary=rotary), name="small")
    grid_coord, coord, offset = batch_of(500, 3, 90)
    feat = torch.randn(len(coord), 9, generator=torch.Generator().manual_seed(0))
    features = {}
    for backend in ("torch", "native"):
        encoder.backend = backend
        features[backend] = encoder(feat, grid_coord, coord, offset).upcast(None)
        assert bool(used) == (backend == "native")
    torch.testing.assert_close(features["native"], features["torch"], rtol=1e-4, atol=1e-5)


def with_one_that_is_none(rows: int, channels: int) -> torch.Tensor:
    feat = torch.randn(rows, channels, generator=torch.Generator().manual_seed(0))
    feat[7, 3] = torch.nan
    return feat


@torch.inference_mode()
def test_a_gelu_keeps_infinity_and_makes_no_number_of_what_is_none(used):
    layer = Linear(1, 1, bias=False)
    layer.weight.fill_(1)
    values = torch.tensor([torch.inf, -torch.inf, torch.nan, 3e38, -3e38, 2.0])[:, None]
    computed = native_linear.linear(layer, values, gelu=True)
    check(computed, torch.nn.functional.gelu(values.double()).float())
    assert used


@torch.inference_mode()
@pytest.mark.parametrize("channels", [18, 30, 48])
def test_what_is_not_a_number_stays_in_its_row(used, channels):
    feat = with_one_that_is_none(40, channels)
    layer = Linear(channels, 30)
    expected = torch.nn.functional.gelu(feat.double() @ layer.weight.double().T + layer.bias)
    check(native_linear.linear(layer, feat, gelu=True), expected.float())
    branch, norm, other = feat.flip(0), LayerNorm(channels), LayerNorm(channels)
    for computed, wanted in zip(
        native_norm.add_norm(feat, branch, norm, other),
        fused.add_norm(feat, branch, norm, other),
        strict=True,
    ):
        check(computed, wanted)
    starts = torch.tensor([0, 3, 4, 30, 40])
    cluster = torch.arange(4).repeat_interleave(torch.diff(starts))
    pooling = Pooling(cluster, torch.arange(40), starts)
    activate = GELU()
    wanted = fused.pool(feat, pooling, norm, activate)
    assert wanted.isnan().all(1).tolist() == [False, False, True, False]
    check(native_norm.pool(feat, pooling, norm, activate), wanted)
    assert used


def check(computed: torch.Tensor, wanted: torch.Tensor) -> None:
    torch.testing.assert_close(computed, wanted, rtol=1e-4, atol=1e-5, equal_nan=True)

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The CPU kernels as they are compiled for CPUs with shorter vectors than those of this one."""

from __future__ import annotations

import dataclasses
import platform
from functools import cache
from pathlib import Path

import pytest
import torch
from ptv3_inputs import batch_of

from concerto_ros.ptv3 import PTv3Config
from concerto_ros.ptv3.checkpoint import untrained_encoder
from concerto_ros.ptv3.cpu.onednn import Linear
from concerto_ros.ptv3.kernels.native import calls
from concerto_ros.ptv3.kernels.native.compiler import CompilerError
from concerto_ros.ptv3.kernels.native.library import SOURCES, load
from concerto_ros.ptv3.kernels.native.linear import linear

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
    "haswell": {"avx2", "fma", "bmi1", "bmi2", "movbe", "f16c"},
}


def abilities() -> set[str]:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return set(next((line for line in lines if line.startswith("flags")), "").split())


@pytest.fixture(scope="module", params=ARCHITECTURES)
def compiled(request):
    """The library for one kind of CPU, from the cache folder where it was made before."""
    if platform.machine() != "x86_64" or not ARCHITECTURES[request.param] <= abilities():
        pytest.skip(f"this CPU cannot execute code for {request.param}")
    try:
        return load(SOURCES, [f"-march={request.param}"])
    except CompilerError as error:
        pytest.skip(str(error))


@torch.inference_mode()
@pytest.mark.parametrize("rotary", [False, True])
def test_an_encoder_computes_the_same_by_them(compiled, rotary, monkeypatch):
    asked = []
    monkeypatch.setattr(calls, "library", lambda: asked.append(1) or compiled)
    for name in ("_function", "has_kernels"):
        monkeypatch.setattr(calls, name, cache(getattr(calls, name).__wrapped__))
    encoder = untrained_encoder(dataclasses.replace(CONFIG, rotary=rotary), name="small")
    grid_coord, coord, offset = batch_of(500, 3, 90)
    feat = torch.randn(len(coord), 9, generator=torch.Generator().manual_seed(0))
    features = {}
    for backend in ("torch", "native"):
        encoder.backend = backend
        features[backend] = encoder(feat, grid_coord, coord, offset).upcast(None)
        assert bool(asked) == (backend == "native")
    torch.testing.assert_close(features["native"], features["torch"], rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_what_is_not_a_number_stays_in_its_row(compiled, monkeypatch):
    monkeypatch.setattr(calls, "library", lambda: compiled)
    monkeypatch.setattr(calls, "_function", cache(calls._function.__wrapped__))
    layer = Linear(20, 30)
    feat = torch.randn(40, 20, generator=torch.Generator().manual_seed(0))
    feat[7, 3] = torch.nan
    result = linear(layer, feat, gelu=True)
    expected = torch.nn.functional.gelu(feat.double() @ layer.weight.double().T + layer.bias)
    torch.testing.assert_close(result, expected.float(), rtol=1e-4, atol=1e-5, equal_nan=True)

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Every backend computes what plain PyTorch computes, and is refused where it cannot be had.

Triton's kernels run in its interpreter, on the CPU, where there is no GPU.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from paths import HELPERS
from ptv3_inputs import CONFIG, batch_of, convolution, voxels
from spconv_build import spconv_device

from concerto_ros import SemanticPipeline
from concerto_ros.ptv3 import build_hierarchy, load_encoder
from concerto_ros.ptv3.checkpoint import untrained_encoder
from concerto_ros.ptv3.kernels import backends as module
from concerto_ros.ptv3.kernels.backends import BACKENDS, PAIRS, TABLE, BackendError, choose_backend
from concerto_ros.ptv3.precision import automatic_precision
from concerto_ros.settings.settings import Settings

CPU = torch.device("cpu")


@pytest.mark.parametrize("why, chosen", [("", "native"), ("no C++ compiler is found", "torch")])
def test_compiled_kernels_are_chosen_on_the_cpu_where_there_are_any(monkeypatch, why, chosen):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setattr(module, "why_not", lambda: why)
    assert choose_backend("auto", CPU).name == chosen
    assert choose_backend("torch", CPU) is PAIRS
    if why:
        with pytest.raises(
            BackendError, match=f"native is not available on cpu: {re.escape(why)}"
        ):
            choose_backend("native", CPU)


def test_compiled_kernels_are_refused_on_a_gpu():
    with pytest.raises(BackendError, match="native is not available on cuda: .* CPU only"):
        choose_backend("native", torch.device("cuda"))


def test_plain_torch_on_cuda_uses_the_table():
    assert choose_backend("torch", torch.device("cuda")) is TABLE


@pytest.fixture
def gpus(monkeypatch):
    """Two GPUs, of compute capability 8.0 and 7.5, and a Triton that launches its kernels there.

    ``launched`` lists where it did.
    """
    capabilities = {0: (8, 0), 1: (7, 5)}
    launched = []
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setitem(sys.modules, "triton", SimpleNamespace(__version__="3.5.1"))
    monkeypatch.setattr(
        torch.cuda, "get_device_capability", lambda device: capabilities[device.index or 0]
    )
    monkeypatch.setattr(module, "_launch", launched.append)
    monkeypatch.setattr(module, "_triton", lambda: replace(TABLE, name="triton"))
    module._why_no_triton.cache_clear()
    yield SimpleNamespace(launched=launched)
    module._why_no_triton.cache_clear()


def test_auto_on_cuda_is_triton_where_a_kernel_runs_found_out_once_for_each_gpu(gpus):
    gpu = torch.device("cuda", 0)
    for name in ("auto", "auto", "triton"):
        assert choose_backend(name, gpu).name == "triton"
    assert gpus.launched == [gpu]


@pytest.mark.parametrize("loaded", [None, SimpleNamespace(__version__="3.2.0")])
def test_auto_on_cuda_is_torch_without_a_triton_new_enough(gpus, monkeypatch, loaded):
    monkeypatch.setitem(sys.modules, "triton", loaded)
    assert choose_backend("auto", torch.device("cuda")) is TABLE
    with pytest.raises(BackendError, match="triton is 3.2.0|triton cannot be imported"):
        choose_backend("triton", torch.device("cuda"))
    assert not gpus.launched


def test_auto_on_cuda_is_torch_where_triton_cannot_launch(gpus, monkeypatch, caplog):
    def no_compiler(device):
        raise RuntimeError("Failed to find C compiler.\nPlease specify via CC")

    monkeypatch.setattr(module, "_launch", no_compiler)
    gpu = torch.device("cuda", 0)
    assert choose_backend("auto", gpu) is choose_backend("auto", gpu) is TABLE
    (record,) = caplog.records  # said once
    assert "Failed to find C compiler" in record.getMessage()
    with pytest.raises(BackendError, match="cuda:0: .*Failed to find C compiler.*auto or torch"):
        choose_backend("triton", gpu)


def test_an_older_gpu_takes_neither_triton_nor_bfloat16_by_itself(gpus):
    older = torch.device("cuda", 1)
    assert choose_backend("auto", older) is TABLE
    with pytest.raises(BackendError, match="needs compute capability 8.0 .* has 7.5"):
        choose_backend("triton", older)
    assert not gpus.launched
    assert automatic_precision(older) == torch.float32
    assert automatic_precision(torch.device("cuda", 0)) == torch.bfloat16


def test_spconv_is_refused_on_the_cpu_and_where_it_is_not_installed(monkeypatch):
    monkeypatch.setattr(module, "_why_no_spconv", lambda: "")
    with pytest.raises(
        BackendError, match="backend spconv is not available on cpu: it needs a CUDA"
    ):
        choose_backend("spconv", CPU)
    monkeypatch.setattr(module, "_why_no_spconv", lambda: "spconv cannot be imported")
    with pytest.raises(BackendError, match=r"cuda:0: spconv cannot be imported; .* \[cuda\]"):
        choose_backend("spconv", torch.device("cuda", 0))


@pytest.mark.parametrize(
    ("why", "words"), [("triton is 2.3.1", "triton is 2.3.1"), ("", "it needs a CUDA device")]
)
def test_triton_that_cannot_be_had_is_refused_with_the_reason(monkeypatch, why, words):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setattr(module, "_why_no_triton", lambda device: why)
    with pytest.raises(
        BackendError, match=f"backend triton is not available on cpu: {words}.*torch"
    ):
        choose_backend("triton", CPU)


@pytest.mark.parametrize(
    ("name", "device", "or_else"),
    [("native", "cuda", ""), ("triton", "cpu", ""), ("spconv", "cpu", ", or .* extra \\[cuda\\]")],
)
def test_all_refusals_say_what_to_use_instead(monkeypatch, name, device, or_else):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    words = rf"^backend {name} is not available on {device}: it [^;]*; use auto or torch{or_else}$"
    monkeypatch.setattr(module, "_why_no_spconv", lambda: "")
    with pytest.raises(BackendError, match=words):
        choose_backend(name, torch.device(device))


def test_an_unknown_backend_is_refused_by_name():
    with pytest.raises(BackendError, match=f"'cuda', expected one of {', '.join(BACKENDS)}"):
        choose_backend("cuda", CPU)


def both(*sizes: int, side: int = 9):
    """The neighbours of the same levels as pairs and as a table."""
    given = batch_of(*sizes, side=side)
    pairs, table = (build_hierarchy(*given, CONFIG, backend) for backend in (PAIRS, TABLE))
    return zip(pairs.levels, table.levels, strict=True)


@torch.no_grad()
@pytest.mark.parametrize("sizes", [(300,), (1,), (40, 1, 120)])
def test_the_table_convolves_as_the_pairs_do(sizes):
    conv = convolution(6, 0)
    for pairs, table in both(*sizes):
        feat = torch.randn(len(pairs), 6, generator=torch.Generator().manual_seed(0))
        expected = conv(feat, pairs.neighbours)
        torch.testing.assert_close(conv(feat, table.neighbours), expected, rtol=1e-5, atol=1e-5)


def test_the_table_is_sorted_by_which_neighbours_there_are():
    for _, level in both(300):
        table = level.neighbours
        assert sorted(table.order.tolist()) == list(range(len(level)))
        assert torch.equal(table.rows[13].long(), table.order)
        pattern = ((table.rows >= 0) << torch.arange(27)[:, None]).sum(0)
        assert (pattern.diff() >= 0).all()


def test_gradients_through_the_table_equal_those_through_the_pairs(monkeypatch):
    monkeypatch.setattr(module.neighbour_table, "_GATHERED", 27 * 3 * 7)  # several parts
    conv = convolution(3, 1).double()
    generator = torch.Generator().manual_seed(0)
    for pairs, table in both(80, 20, side=5):
        feat = torch.randn(len(pairs), 3, dtype=torch.float64, generator=generator)
        wanted = torch.randn(len(pairs), 3, dtype=torch.float64, generator=generator)
        leaves = [feat.requires_grad_(), conv.weight, conv.bias]
        ours, theirs = (
            torch.autograd.grad((conv(feat, level.neighbours) * wanted).sum(), leaves)
            for level in (table, pairs)
        )
        for one, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(one, other)


def test_an_encoder_gives_the_same_with_the_table():
    encoder = load_encoder("demo")
    grid_coord = voxels(400, 16, 0)
    feat = torch.randn(400, encoder.config.in_channels, generator=torch.Generator().manual_seed(0))
    given = grid_coord, grid_coord * 0.04, torch.tensor([400])
    expected = encoder(feat, *given).upcast(None)
    hierarchy = build_hierarchy(*given, encoder.config, TABLE)
    result = encoder.forward_features(feat, hierarchy).upcast(None)
    torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-4)


def test_an_encoder_has_its_backend_compile_for_every_width_of_its_convolutions(monkeypatch):
    asked = []
    backend = replace(PAIRS, warm_up=lambda *given: asked.append(given))
    monkeypatch.setattr("concerto_ros.ptv3.encoder.choose_backend", lambda *_: backend)
    config = replace(
        CONFIG,
        enc_mode=False,
        dec_depths=(1, 1),
        dec_channels=(18, 30),
        dec_num_head=(1, 1),
        dec_patch_size=(16, 16),
    )
    encoder = untrained_encoder(config, name="").half()
    encoder.warm_up()
    ((widths, dtype, device),) = asked
    assert set(widths) == {*config.enc_channels, 18, 30}
    assert (dtype, device) == (torch.float16, CPU)


def test_the_pipeline_warms_its_encoder_up(monkeypatch):
    pipeline = SemanticPipeline.from_settings(Settings(device="cpu"))
    warmed = []
    monkeypatch.setattr(pipeline.encoder, "warm_up", lambda: warmed.append(True))
    pipeline.warm_up()
    assert warmed


def test_a_warm_up_of_several_frames_carries_what_frames_carry(monkeypatch):
    pipeline = SemanticPipeline.from_settings(Settings(device="cpu"))
    before, frames = pipeline.state_dict(), []
    predict = pipeline._predict
    monkeypatch.setattr("concerto_ros.pipeline._WARM_UP", ((300, 3),) * 2)
    monkeypatch.setattr(pipeline.encoder, "warm_up", lambda: None)
    monkeypatch.setattr(pipeline, "capture_graphs", lambda: frames.append("capture"))
    monkeypatch.setattr(
        pipeline, "_predict", lambda *given: (frames.append(given), predict(*given))[1]
    )
    pipeline.warm_up()
    first, *others = frames[::2]
    assert frames[1::2] == ["capture"] * 3 and len(first[0]) > 100
    assert all(given[:2] == first[:2] for given in others)
    assert first[1].colors.state()
    assert pipeline.state_dict().keys() == before.keys()  # nothing of it stays


SPCONV = """
import pytest, torch
from dataclasses import replace
from types import SimpleNamespace
from ptv3_inputs import CONFIG, batch_of, convolution
from concerto_ros.ptv3 import build_hierarchy
from concerto_ros.ptv3.kernels.backends import PAIRS
from concerto_ros.ptv3.kernels import spconv_conv
from concerto_ros.ptv3.kernels.spconv_conv import find_neighbours

device = torch.device("{device}")
for sizes in ((200,), (1,), (40, 1, 120)):
    given = batch_of(*sizes, side=9)
    there = [values.to(device) for values in given]
    spconv = build_hierarchy(*there, CONFIG, replace(PAIRS, find_neighbours=find_neighbours))
    for pairs, other in zip(build_hierarchy(*given, CONFIG).levels, spconv.levels, strict=True):
        for dtype, tolerance in ((torch.float32, 1e-6), (torch.bfloat16, 1e-2)):
            conv = convolution(6, 0).to(device, dtype)
            feat = torch.randn(len(pairs), 6).to(device, dtype)
            with torch.no_grad():
                result = conv(feat, other.neighbours)
                assert result.dtype == dtype
                assert torch.equal(result, conv(feat, other.neighbours))
                expected = conv.cpu().float()(feat.cpu().float(), pairs.neighbours)
                off = torch.linalg.norm(result.cpu().float() - expected)
                assert off <= tolerance * torch.linalg.norm(expected)
conv = conv.to(device)
with pytest.raises(RuntimeError, match="spconv is for inference"):
    conv(feat.float(), other.neighbours)

# The weights are converted once, until they change.
with torch.no_grad():
    half = spconv_conv._converted(conv.weight, torch.float16)
    assert half is spconv_conv._converted(conv.weight, torch.float16)
    conv.weight += 1
    changed = spconv_conv._converted(conv.weight, torch.float16)
    assert changed is not half and torch.equal(changed, conv.weight.half())
    conv.double()
    assert spconv_conv._converted(conv.weight, torch.float64).dtype == torch.float64

# Launched on the device of the features, whichever is the current one.
entered = []
device_of = torch.cuda.device_of
torch.cuda.device_of = lambda feat: entered.append(feat.device) or device_of(feat)
with torch.no_grad():
    conv.float()(feat.float(), other.neighbours)
assert entered == [feat.device]

# bfloat16 on CUDA: float16, summed in float32.
on_cuda = SimpleNamespace(dtype=torch.bfloat16, device=torch.device("cuda", 1))
assert spconv_conv._computed_in(on_cuda) == torch.float16
assert spconv_conv._convolution(6, 6).fp32_accum is True
"""


def test_spconv_agrees():
    device = spconv_device()
    # With more than one thread spconv 2.3.8 races with itself on the CPU.
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(HELPERS),
    }
    command = [sys.executable, "-c", SPCONV.replace("{device}", device)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")
@pytest.mark.parametrize("check", ["agrees", "compiles"])
def test_triton(check, tmp_path, nightly):
    # Kernels are compiled or interpreted by what the environment says when they are imported.
    interpreted = "0" if check == "compiles" or torch.cuda.is_available() else "1"
    environment = {
        **os.environ,
        "TRITON_INTERPRET": interpreted,
        "TRITON_CACHE_DIR": str(tmp_path),
    }
    capabilities = ("80", "86", "87", "89", "90", "100", "120") if nightly else ("80", "90")
    command = [sys.executable, "-m", "triton_checks", check, *capabilities]
    result = subprocess.run(command, cwd=HELPERS, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr

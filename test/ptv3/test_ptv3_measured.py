# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Optional kernels are used where a measurement on that GPU says so, and compute the same.

Stand-ins for the packages compute what these are documented to; with the packages themselves, the
same tests run on them.
"""

from __future__ import annotations

import importlib.util
import sys
from types import SimpleNamespace

import pytest
import torch
from ptv3_inputs import CONFIG, batch_of
from torch.nn.functional import scaled_dot_product_attention

from concerto_ros.ptv3 import build_hierarchy
from concerto_ros.ptv3.kernels import backends, gpu_attention, measured, pooling
from concerto_ros.ptv3.kernels.backends import TABLE, choose_backend
from concerto_ros.ptv3.kernels.measured import Choices, save_choices

GPU, OTHER_GPU = torch.device("cuda", 0), torch.device("cuda", 1)


@pytest.fixture
def gpus(monkeypatch, tmp_path):
    """Two GPUs by name, and an empty cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"Card {device.index}")
    measured.choices.cache_clear()
    yield tmp_path
    measured.choices.cache_clear()
    measured.package.cache_clear()


def chosen(device: torch.device) -> Choices:
    measured.choices.cache_clear()
    return measured.choices(device)


def test_a_choice_is_of_one_gpu_and_one_version_of_pytorch(gpus, monkeypatch):
    assert chosen(GPU) == Choices()
    save_choices(GPU, Choices(backend="spconv"))
    assert chosen(GPU) == Choices(backend="spconv")
    assert chosen(OTHER_GPU) == chosen(torch.device("cpu")) == Choices()
    monkeypatch.setattr(torch, "__version__", "99.0")
    assert chosen(GPU) == Choices()


@pytest.mark.parametrize("text", ["", "[]", "null", "{", '{"backend": "rm -rf", "attention": 1}'])
def test_a_file_that_is_damaged_chooses_nothing(gpus, text):
    save_choices(GPU, Choices("spconv", "flash_attn", "torch_scatter")).write_text(text)
    assert chosen(GPU) == Choices()


def test_auto_takes_spconv_where_it_was_faster_and_is_there(gpus, monkeypatch):
    monkeypatch.setattr(backends, "_why_no_triton", lambda device: "not here")
    monkeypatch.setattr(backends, "_why_no_spconv", lambda: "")
    monkeypatch.setattr(backends, "_spconv", lambda: "spconv")
    assert choose_backend("auto", GPU) is TABLE
    save_choices(GPU, Choices(backend="spconv"))
    measured.choices.cache_clear()
    assert choose_backend("auto", GPU) == "spconv"
    assert choose_backend("torch", GPU) is choose_backend("auto", OTHER_GPU) is TABLE
    monkeypatch.setattr(backends, "_why_no_spconv", lambda: "not installed")
    assert choose_backend("auto", GPU) is TABLE


def flash_attn_func(query, key, value, *, softmax_scale):
    """As flash-attn's: (B, rows, heads, channels)."""
    rows = (part.transpose(1, 2) for part in (query, key, value))
    return scaled_dot_product_attention(*rows, scale=softmax_scale).transpose(1, 2)


def segment_csr(values, ends, *, reduce):
    """As torch_scatter's: segments between the ends."""
    assert reduce == "max"
    parts = [values[a:b].amax(0) for a, b in zip(ends[:-1], ends[1:], strict=True)]
    return torch.stack(parts)


STAND_INS = {
    "flash_attn": SimpleNamespace(flash_attn_func=flash_attn_func),
    "torch_scatter": SimpleNamespace(segment_csr=segment_csr),
}


@pytest.fixture
def use(gpus, monkeypatch):
    """Choose a package for every device; the package itself where it computes here."""

    def choose(**named: str):
        (name,) = named.values()
        there = importlib.util.find_spec(name) is not None
        if not there or (name == "flash_attn" and not torch.cuda.is_available()):
            monkeypatch.setitem(sys.modules, name, STAND_INS[name])
        measured.package.cache_clear()
        for module in (pooling.__name__, gpu_attention.__name__):
            monkeypatch.setattr(f"{module}.choices", lambda device: Choices(**named))

    return choose


def test_the_other_flash_attention_computes_the_same(use, monkeypatch):
    device = "cuda" if torch.cuda.is_available() else "cpu"
    monkeypatch.setattr(gpu_attention, "can_use_flash_attention", lambda _: True)
    generator = torch.Generator().manual_seed(0)
    parts = [torch.randn(2, 3, rows, 18, generator=generator) for rows in (5, 7, 7)]
    parts = [part.to(device, torch.bfloat16) for part in parts]
    expected = scaled_dot_product_attention(*(part.float() for part in parts), scale=0.3)
    use(attention="flash_attn")
    monkeypatch.setattr(gpu_attention, "_flash", None)  # is not called
    result = gpu_attention.attend(*parts, attn_mask=None, scale=0.3)
    torch.testing.assert_close(result.float(), expected, rtol=2e-2, atol=2e-2)


def test_the_other_reduction_gives_the_same_maxima(use):
    hierarchy = build_hierarchy(*batch_of(200), CONFIG, TABLE)
    values = torch.randn(200, 5, generator=torch.Generator().manual_seed(0))
    pooled = hierarchy.levels[1].pooled_from
    expected = {how: pooled.reduce(values, how) for how in ("max", "mean")}
    use(reduction="torch_scatter")
    for how, wanted in expected.items():
        assert torch.equal(pooled.reduce(values, how), wanted)


def test_a_package_that_is_gone_is_said_once_and_not_used(use, monkeypatch, caplog):
    use(reduction="torch_scatter")
    monkeypatch.setitem(sys.modules, "torch_scatter", None)  # importing it fails
    measured.package.cache_clear()
    pooled = build_hierarchy(*batch_of(50), CONFIG, TABLE).levels[1].pooled_from
    for _ in range(2):
        assert pooled.reduce(torch.ones(50, 2), "max").eq(1).all()
    assert len(caplog.records) == 1 and "torch_scatter" in caplog.text

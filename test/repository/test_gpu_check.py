# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The check of a GPU runs on a CPU at tiny sizes, finds what is wrong, and writes it down."""

from __future__ import annotations

import json

import pytest
import torch

from benchmarks.gpu_check import __main__ as gpu_check
from benchmarks.gpu_check import correctness
from benchmarks.gpu_check.page import page
from benchmarks.gpu_check.scope import Findings, Scope

CPU = torch.device("cpu")


@pytest.mark.parametrize("part", gpu_check.PARTS)
def test_every_part_holds_on_the_cpu(part):
    result = gpu_check.run(gpu_check.PARTS[part], Scope.tiny(CPU))
    assert not result["failed"]
    assert [check for check in result["checks"] if not check["held"]] == []
    assert result["rows"] or result["checks"]


def test_json_and_page_hold_what_was_found(tmp_path, capsys):
    out = ["--device", "cpu", "--tiny", "--out", str(tmp_path)]
    assert gpu_check.main([*out, "--only", "attention", "package"]) == 0
    results = json.loads((tmp_path / "gpu-check.json").read_text())
    assert list(results) == ["machine", "attention", "package"]
    assert len(results["attention"]["rows"]) == 6
    text = (tmp_path / "gpu-check.md").read_text()
    assert text == page(results) and "2 of 2 conditions hold" in text
    assert "| heads | width | type | masked | off |" in text
    assert "gpu-check.md" in capsys.readouterr().out


def test_a_wrong_kernel_is_found_and_said(monkeypatch, tmp_path):
    def halved(query, key, value, *, attn_mask, scale):
        return 0.5 * value

    monkeypatch.setattr(correctness.gpu_attention, "attend", halved)
    out = ["--device", "cpu", "--tiny", "--out", str(tmp_path)]
    assert gpu_check.main([*out, "--only", "attention"]) == 1
    assert "**NOT**: attention is its formula" in (tmp_path / "gpu-check.md").read_text()


def test_features_that_are_off_are_found(monkeypatch):
    scope = Scope.tiny(CPU)
    exact = scope.model("base", torch.float32)
    with torch.no_grad():
        exact.enc["enc0"]["block0"].mlp[0].fc2.weight.mul_(1.5)
    model = Scope.model
    monkeypatch.setattr(
        Scope, "model", lambda self, name, *on: exact if name == "base" else model(self, name, *on)
    )
    missed = [check.name for check in correctness.features(scope).checks if not check.held]
    assert "base torch float32 cloud" in missed
    assert all(name.startswith("base") for name in missed)


def test_a_part_that_fails_does_not_end_the_others(monkeypatch, tmp_path):
    def fails(scope):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    def holds(scope):
        found = Findings()
        found.check("all", "1 of 1", True)
        return found

    monkeypatch.setattr(gpu_check, "PARTS", {"first": fails, "second": holds})
    assert gpu_check.main(["--device", "cpu", "--tiny", "--out", str(tmp_path)]) == 1
    text = (tmp_path / "gpu-check.md").read_text()
    assert "Parts that failed: first" in text and "illegal memory access" in text
    assert "- ok: all: 1 of 1" in text

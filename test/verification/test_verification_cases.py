# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Running reference cases: what agrees passes, whatever does not makes the command fail."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import paths
import pytest
import torch

from concerto_ros.cli import main
from concerto_ros.verification.cases import compare, verify

GOLDEN = paths.GOLDEN / "objects"


@pytest.fixture
def folder(tmp_path) -> Path:
    """A copy of one model's cases, cut down to one that is quick."""
    copy = tmp_path / "recon"
    shutil.copytree(GOLDEN / "recon", copy)
    change_meta(copy, lambda cases: {"cls_small": cases["cls_small"]})
    return copy


def change_meta(folder: Path, change):
    path = folder / "meta.json"
    meta = json.loads(path.read_text())
    meta["cases"] = change(meta["cases"])
    path.write_text(json.dumps(meta))


def change_arrays(folder: Path, change):
    path = folder / "cls_small.npz"
    arrays = dict(np.load(path))
    change(arrays)
    np.savez(path, **arrays)


def verdicts(folder: Path) -> dict[str, bool]:
    return {result.array: result.passed for result in verify(folder)}


def test_the_operations_shared_by_the_encoders_agree_with_the_reference():
    results = list(verify(GOLDEN / "common_ops"))
    assert len({result.case for result in results}) == 6
    assert [result for result in results if not result.passed] == []


def test_other_cases_of_the_shared_operations_may_have_other_sizes_and_smoothings(tmp_path):
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(5, 3)).astype(np.float32), np.array([0, 2, 1, 1, 0])
    own = -torch.from_numpy(logits).double().log_softmax(1).numpy()
    right = own[np.arange(5), labels]
    losses = {"00": right.mean(), "01": (0.9 * right + 0.05 * (own.sum(1) - right)).mean()}
    arrays = {f"loss_eps{name}": loss for name, loss in losses.items()}
    np.savez(tmp_path / "smooth.npz", logits=logits, labels=labels, **arrays)
    raw = rng.normal(size=(2, 7, 3)).astype(np.float32)
    unit = raw - raw.mean(1, keepdims=True)
    unit /= np.linalg.norm(unit, axis=2).max(1)[:, None, None]
    np.savez(tmp_path / "raw.npz", raw=raw, unit_sphere=unit)
    common = {"tolerance": {"atol": 1e-6, "rtol": 1e-5}}
    cases = {"label_smoothing_other": "smooth.npz", "normalise_other": "raw.npz"}
    entries = {name: common | {"files": {"data": file}} for name, file in cases.items()}
    meta = {"model": "common_ops", "cases": entries}
    (tmp_path / "meta.json").write_text(json.dumps(meta))
    assert verdicts(tmp_path) == {"loss_eps00": True, "loss_eps01": True, "unit_sphere": True}


def test_the_command_prints_each_array_and_succeeds(folder, capsys):
    assert main(["objects", "verify", str(folder)]) == 0
    shown = capsys.readouterr().out
    for name in ("fps_idx", "patch_tokens", "block0_out", "tokens_normed", "feature", "logits"):
        assert name in shown
    assert "6 arrays of 1 cases" in shown and "all within" in shown


def test_a_parent_runs_all_models_in_it(folder):
    shutil.copytree(GOLDEN / "common_ops", folder.parent / "common_ops")
    assert {result.model for result in verify(folder.parent)} == {"common_ops", "recon"}


@pytest.mark.parametrize("device", ["gpu", "cuda:99"])
def test_a_device_that_is_not_there_is_refused(folder, capsys, device):
    assert main(["objects", "verify", str(folder), "--device", device]) == 1
    assert f"device: got {device!r}" in capsys.readouterr().err


def test_the_device_may_be_left_to_the_machine(folder):
    assert main(["objects", "verify", str(folder), "--device", "auto"]) == 0


def test_float32_keeps_its_digits_while_a_case_runs_and_no_other_flag_changes(folder, monkeypatch):
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    for place in (cudnn, matmul):
        monkeypatch.setattr(place, "allow_tf32", True)
    for flag in ("benchmark", "deterministic"):
        monkeypatch.setattr(cudnn, flag, True)
    before, seen = (cudnn.enabled, True, True), []

    def run_case(case):
        seen.append((cudnn.allow_tf32, matmul.allow_tf32))
        seen.append((cudnn.enabled, cudnn.benchmark, cudnn.deterministic))
        raise RuntimeError("broken")

    monkeypatch.setattr("concerto_ros.verification.recon.run_case", run_case)
    assert not any(verdicts(folder).values())
    assert seen == [(False, False), before]
    assert (cudnn.allow_tf32, matmul.allow_tf32) == (True, True)


def test_a_changed_output_makes_the_command_fail(folder, capsys):
    def change(arrays):
        arrays["logits"][1, 3] += 1e-3

    change_arrays(folder, change)
    assert main(["objects", "verify", str(folder)]) == 1
    missed = [line for line in capsys.readouterr().out.splitlines() if "MISSED" in line]
    assert len(missed) == 1 and "logits" in missed[0]


def test_a_changed_index_makes_it_fail(folder):
    def change(arrays):
        arrays["fps_idx"][0, 5] += 1

    change_arrays(folder, change)
    found = verdicts(folder)
    assert not found.pop("fps_idx")
    assert all(found.values())


def test_changed_weights_make_it_fail(folder):
    change_meta(folder, lambda cases: {"cls_small": cases["cls_small"] | {"weight_seed": 99}})
    found = verdicts(folder)
    assert found["fps_idx"] and not found["logits"]


def test_an_array_that_nothing_computes_is_a_miss(folder):
    change_arrays(folder, lambda arrays: arrays.update(more=np.zeros(3)))
    assert verdicts(folder)["more"] is False


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda case: case | {"upstream_class": "models.Other"}, "models.Other"),
        (lambda case: case | {"files": {"data": "absent.npz"}}, "absent.npz"),
        (lambda case: case | {"config": {"num_heads": 2}}, "num_group"),
    ],
)
def test_a_case_that_is_unknown_or_broken_is_a_miss(folder, capsys, change, words):
    change_meta(folder, lambda cases: {"cls_small": change(cases["cls_small"])})
    assert main(["objects", "verify", str(folder)]) == 1
    assert words in capsys.readouterr().out


@pytest.mark.parametrize("size", [0, 2000])
def test_a_damaged_file_of_arrays_is_a_miss(folder, size):
    path = folder / "cls_small.npz"
    path.write_bytes(path.read_bytes()[:size])
    assert list(verdicts(folder).values()) == [False]


def test_an_unknown_model_is_a_miss(folder):
    meta = json.loads((folder / "meta.json").read_text())
    (folder / "meta.json").write_text(json.dumps(meta | {"model": "pointnet"}))
    (result,) = verify(folder)
    assert not result.passed and "pointnet" in result.note


def test_a_folder_without_cases_is_an_error(tmp_path, capsys):
    assert main(["objects", "verify", str(tmp_path)]) == 1
    assert "expected meta.json" in capsys.readouterr().err


def test_a_list_without_cases_is_an_error(folder, capsys):
    (folder / "meta.json").write_text('{"model": "recon"}')
    assert main(["objects", "verify", str(folder)]) == 1
    assert "has no 'cases'" in capsys.readouterr().err


def test_deviation_is_a_multiple_of_the_tolerance():
    expected = np.array([0.0, 2.0])
    assert compare(np.array([0.0, 2.1]), expected, 0.1, 0.05) == (pytest.approx(0.5), "")
    assert compare(np.array([0.0, 2.0, 7.0]), expected, 0.1, 0.0)[0] == 0
    assert compare(np.array([0.0]), expected, 0.1, 0.0)[0] == math.inf
    assert compare(np.array([math.nan, 2.0]), expected, 0.1, 0.0)[0] == math.inf
    assert compare(np.array([0, 3]), np.array([0, 2]), 10.0, 0.0)[0] == math.inf

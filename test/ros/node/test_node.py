# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The perception node as a robot meets it: messages in, messages out, over DDS."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from node_harness import (
    CAMERA,
    LATCHED,
    ONE_CLOUD,
    SECOND,
    START,
    camera_info,
    color_image,
    depth_image,
    send_pair,
    stamp_of,
)
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2, PointField

from concerto_ros.labels.packed_cloud import packed_rgb
from concerto_ros.msg import SemanticClasses
from concerto_ros.ros.outputs.messages import make_header

# Outputs -----------------------------------------------------------------------------------------


def test_a_cloud_comes_out_labelled(active):
    points = active.send_room()
    labels = active.labels(START)
    assert list(labels) == ["x", "y", "z", "rgb", "label", "confidence"]
    voxels = np.unique(np.floor(points.astype(np.float64) / 0.1), axis=0)
    assert len(labels["x"]) == len(voxels)
    assert labels["label"].dtype == np.uint32 and labels["label"].max() < 12
    assert ((labels["confidence"] > 0) & (labels["confidence"] <= 1)).all()
    message = active.received["/concerto/labels"][-1]
    assert message.header.frame_id == "odom"
    assert message.point_step == 24 and message.fields[3].datatype == PointField.FLOAT32


def test_the_colour_of_a_label_is_the_one_in_classes(active):
    active.listen("/concerto/classes", SemanticClasses, LATCHED)
    active.send_room()
    labels = active.labels(START)
    classes = active.wait(lambda: active.received["/concerto/classes"], "classes")[0].classes
    assert [entry.id for entry in classes] == list(range(12))
    palette = np.array([[e.color.r, e.color.g, e.color.b] for e in classes]) * 255
    wanted = packed_rgb(palette[labels["label"]].round().astype(np.uint8))
    assert (labels["rgb"].view(np.uint32) == wanted.view(np.uint32)).all()


def test_outputs_name_the_model_and_its_classes(active):
    active.listen("/concerto/classes", SemanticClasses, LATCHED)
    classes = active.wait(lambda: active.received["/concerto/classes"], "classes")[0]
    active.wait_for_status()
    diagnosis = active.wait(active.diagnosis("model"), "diagnostics of the model")
    assert classes.model == active.status.model == "demo"
    assert [entry.name for entry in classes.classes][:2] == ["floor", "wall"]
    assert "demo" in diagnosis.message and diagnosis.level == DiagnosticStatus.OK


def test_pca_has_the_voxels_of_labels(active):
    active.listen("/concerto/pca", PointCloud2, QoSProfile(depth=10))
    active.send_room()
    labels = active.labels(START)
    pca = active.wait(lambda: active.received["/concerto/pca"], "pca")[-1]
    assert [field.name for field in pca.fields] == ["x", "y", "z", "rgb"]
    assert pca.width == len(labels["x"]) and stamp_of(pca) == START


def test_qos_is_what_rviz_and_late_subscribers_need(active):
    offers = {
        topic: active.robot.get_publishers_info_by_topic(f"/concerto/{topic}")[0].qos_profile
        for topic in ("labels", "pca", "classes", "legend")
    }
    assert all(qos.reliability == ReliabilityPolicy.RELIABLE for qos in offers.values())
    assert offers["labels"].durability == offers["pca"].durability == DurabilityPolicy.VOLATILE
    assert (
        offers["classes"].durability
        == offers["legend"].durability
        == DurabilityPolicy.TRANSIENT_LOCAL
    )


def test_legend_is_latched(active):
    active.listen("/concerto/legend", Image, LATCHED)
    legend = active.wait(lambda: active.received["/concerto/legend"], "the legend")[0]
    assert legend.encoding == "rgb8" and legend.height > 100 and legend.width > 100


def test_status_counts_and_times_every_stage(active):
    active.send_room()
    active.labels(START)
    status = active.wait(
        lambda: active.status if active.status.inferences else None, "an inference"
    )
    assert (status.frames_received, status.frames_fused, status.frames_dropped) == (1, 1, 0)
    assert status.points_last_frame == 300 and status.voxels == len(active.labels()["x"])
    wanted = ["decode", "transform", "insert", "snapshot", "geometry", "features", "labels"]
    assert [name for name in status.stage_names if name in wanted] == wanted
    assert all(spent >= 0 for spent in status.stage_ms)
    assert stamp_of(status) == START and status.device == "cpu"


def test_nothing_is_inferred_while_nobody_listens(harness):
    one = harness(**ONE_CLOUD)
    one.start()
    one.send_room()
    one.wait_for_fused(1)
    assert one.status.inferences == 0
    one.listen_to_labels()  # a late subscriber gets the map as it is
    one.labels(START)


def test_an_rgbd_pair_comes_out_labelled(harness):
    one = harness(**CAMERA)
    one.listen_to_labels()
    one.start()
    send_pair(one, START)
    labels = one.labels(START)
    assert len(labels["x"]) > 100
    assert labels["z"] == pytest.approx(1.5, abs=0.01)
    status = one.wait_for_status()
    assert {"normals", "decode"} <= set(status.stage_names)
    assert status.frames_received == 1


def test_depth_alone_works(harness):
    one = harness(**(CAMERA | {"cameras.head.color_topic": ""}))
    one.listen_to_labels()
    one.start()
    send_pair(one, START, color=False)
    assert one.labels(START)["z"] == pytest.approx(1.5, abs=0.01)


def test_depth_of_another_frame_is_reprojected_through_tf(harness):
    parameters = CAMERA | {"cameras.head.depth_info_topic": "/depth_info"}
    one = harness(**parameters)
    one.listen_to_labels()
    one.start()
    one.publisher("/depth_info", CameraInfo).publish(camera_info(40, 30, "ir", focal=50.0))
    one.publisher("/info", CameraInfo).publish(camera_info(80, 60))
    one.publisher("/color", Image).publish(color_image(80, 60))
    one.publisher("/depth", Image).publish(depth_image(40, 30, frame="ir"))
    one.send_transform("camera", "ir", static=True, x=0.25)  # it waits for this
    labels = one.labels(START)
    assert labels["z"] == pytest.approx(1.5, abs=0.01)
    alone = 40 / 50.0 * 1.5 / 2  # half the width of what the depth camera sees
    # Moved by 0.25 m to the side, and what the colour camera does not see is left out.
    assert labels["x"].min() == pytest.approx(0.25 - alone, abs=0.05)
    assert labels["x"].max() == pytest.approx(alone, abs=0.05)


def test_compressed_images_come_out_labelled(harness):
    parameters = CAMERA | {
        "cameras.head.color_topic": "/color/compressed",
        "cameras.head.depth_topic": "/depth/compressedDepth",
    }
    one = harness(**parameters)
    one.listen_to_labels()
    one.start()
    one.publisher("/info", CameraInfo).publish(camera_info(80, 60))
    pixels = np.full((60, 80, 3), (50, 100, 200), np.uint8)
    color = CompressedImage(
        header=make_header("camera", START),
        format="jpeg",
        data=cv2.imencode(".jpg", pixels)[1].tobytes(),
    )
    metres = np.full((60, 80), 1500, np.uint16)
    depth = CompressedImage(
        header=make_header("camera", START),
        format="16UC1; compressedDepth png",
        data=b"\0" * 12 + cv2.imencode(".png", metres)[1].tobytes(),
    )
    one.publisher("/color/compressed", CompressedImage).publish(color)
    one.publisher("/depth/compressedDepth", CompressedImage).publish(depth)
    assert one.labels(START)["z"] == pytest.approx(1.5, abs=0.01)


# Transforms --------------------------------------------------------------------------------------


def test_a_frame_is_placed_by_its_transform(active):
    active.send_transform("odom", "lidar", START, x=1.0)
    active.send_transform("odom", "lidar", START + SECOND, x=2.0)
    points = active.send_room(START + SECOND // 2, frame="lidar")
    labels = active.labels(START + SECOND // 2)
    assert labels["x"].max() == pytest.approx(points[:, 0].max() + 1.5, abs=1e-4)


def test_a_frame_waits_for_its_transform(harness):
    one = harness(**(ONE_CLOUD | {"transform_timeout": 10.0}))
    one.listen_to_labels()
    one.start()
    one.send_transform("odom", "elsewhere", static=True)
    one.send_room(frame="lidar")
    one.wait(lambda: one.status.frames_received == 1, "the cloud to arrive")
    one.send_transform("odom", "lidar", static=True, x=3.0)
    assert one.labels(START)["x"].max() == pytest.approx(7.0, abs=1e-4)
    assert one.drops() == {}


def test_a_frame_without_transform_is_dropped_and_the_next_one_works(active):
    active.send_room(frame="nowhere")
    active.wait_for_drop("no_transform")
    diagnosis = active.wait(
        lambda: (d := active.diagnosis("input front")()) and "no_transform" in d.message and d,
        "diagnostics of the input",
    )
    assert diagnosis.level == DiagnosticStatus.ERROR
    assert any("nowhere" in value.value for value in diagnosis.values)
    active.send_room(START + SECOND)
    active.labels(START + SECOND)


def test_the_window_is_centred_on_the_robot(harness):
    one = harness(**(ONE_CLOUD | {"robot_frame": "base_link", "window_radius": 3.0}))
    one.listen_to_labels()
    one.start()
    one.send_transform("odom", "base_link", static=True, x=4.0)
    points = one.send_room()
    near = np.linalg.norm(points - [4.0, 0.0, 0.0], axis=1)
    labels = one.labels(START)
    distance = np.linalg.norm(
        np.stack([labels["x"] - 4.0, labels["y"], labels["z"]], axis=1), axis=1
    )
    assert distance.max() < 3.1
    assert len(distance) > 0 and near.max() > 3.1


def test_a_transform_loop_is_named(active):
    active.send_transform("a", "b", static=True)
    active.send_transform("b", "a", static=True)
    active.send_room(frame="b")
    active.wait_for_drop("transform_loop")
    active.send_room(START + SECOND)
    active.labels(START + SECOND)


def test_stamp_zero_is_never_placed_by_the_latest_transform(active):
    active.send_transform("odom", "lidar", START, x=1.0)
    active.send_room(0, frame="lidar")
    active.wait_for_drop("no_stamp")
    assert active.status.frames_fused == 0


def test_messages_without_a_stamp_are_no_restart(active):
    active.send_transform("odom", "lidar", START, x=1.0)
    points = active.send_room(START)
    active.wait_for_fused(1)
    for i in range(4):
        active.send_room(0, frame="lidar")
        active.wait_for_drop("no_stamp", i + 1)
    active.send_room(START)
    active.wait_for_fused(2)
    assert active.drops() == {"no_stamp": 4}
    assert active.labels(START)["x"].max() == pytest.approx(points[:, 0].max(), abs=1e-4)


def test_a_cloud_off_the_lattice_is_counted(active):
    """Geographic coordinates are farther from their origin than voxels can be numbered."""
    active.send_transform("odom", "lidar", static=True, x=500_000.0)
    active.send_room(frame="lidar")
    active.wait_for_drop("off_map")
    assert active.status.frames_fused == 0
    active.send_room(START + SECOND)
    active.labels(START + SECOND)


def test_a_cloud_out_of_reach_of_the_robot_is_counted(harness):
    one = harness(**(ONE_CLOUD | {"robot_frame": "base_link", "window_radius": 3.0}))
    one.start()
    one.send_transform("odom", "base_link", static=True, x=50.0)
    one.send_room()
    one.wait_for_drop("off_map")

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The node and ``concerto-ros bag`` count the same for the same recording, message by message."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from bag_recordings import camera_info, cloud, image, transform, write
from node_harness import LATCHED, SECOND, START
from rclpy.qos import QoSProfile

from concerto_ros.bags.input_plan import InputPlan
from concerto_ros.bags.reader import open_bag
from concerto_ros.mapping.voxel_map import VoxelMap
from concerto_ros.offline.bag_intake import BagIntake
from concerto_ros.ros.middleware.message_classes import message_class

TOPICS = ("/points", "/rear", "/color", "/depth", "/info")

#: Two LiDARs and a camera, and a map small enough to lie outside of.
PARAMETERS = {
    "cloud_names": ["front", "rear"],
    "clouds.front.topic": "/points",
    "clouds.rear.topic": "/rear",
    "camera_names": ["head"],
    "cameras.head.color_topic": "/color",
    "cameras.head.depth_topic": "/depth",
    "cameras.head.info_topic": "/info",
    "voxel_size": 0.1,
    "input_rate": 100.0,
    "transform_timeout": 0.3,
    "window_seconds": 2.0,
    "window_radius": 5.0,
    "max_range": 8.0,
} | {f"qos_overrides.{topic}.subscription.reliability": "reliable" for topic in TOPICS}

#: Every message is waited for, so none may be lost on the way.
RELIABLE = QoSProfile(depth=10)


def ns(seconds):
    return round(seconds * SECOND)


def far(time):
    """A cloud within range that lies beyond the radius of the map."""
    points = np.tile(np.float32([6.5, 0, 0]), (300, 1))
    return replace(cloud(time, frame="odom"), data=points.view(np.uint8).ravel())


def pair(seconds, stamp):
    pixels = np.random.default_rng(0).integers(0, 255, (24, 32, 3)).astype(np.uint8)
    yield seconds, "/depth", image(ns(stamp), "16UC1", np.full((24, 32), 1500, np.uint16))
    yield seconds + 0.02, "/color", image(ns(stamp), "rgb8", pixels)


def day():
    """(seconds, topic, message) of what goes well and of what can go wrong.

    Clouds are in odom, which is the fixed frame, unless they are meant to wait for a transform.
    """
    yield 0.00, "/tf_static", transform(0, "eye")
    yield 0.02, "/points", cloud(ns(0.0), frame="odom")
    yield 0.04, "/points", cloud(ns(0.0), frame="odom", size=0)
    yield 0.06, "/points", replace(cloud(ns(0.0), frame="odom"), point_step=16)
    yield 0.08, "/points", cloud(ns(-0.1), frame="odom")
    yield 0.10, "/points", cloud(-START)
    yield 0.12, "/points", cloud(ns(0.12))
    yield 0.14, "/tf", transform(ns(0.12))
    yield 0.16, "/points", cloud(ns(0.16), frame="nowhere")
    yield 1.00, "/points", cloud(ns(1.0), frame="odom")
    yield 1.02, "/points", far(ns(1.02))
    yield 1.04, "/info", camera_info(0)
    yield from pair(1.10, stamp=1.1)
    yield next(pair(1.20, stamp=1.2))
    yield from pair(1.30, stamp=1.3)
    yield 1.34, "/info", replace(camera_info(0), k=np.zeros(9), p=np.zeros(12))
    yield from pair(1.40, stamp=1.4)
    yield 1.44, "/info", camera_info(0, width=16)
    yield from pair(1.50, stamp=1.5)
    yield 1.54, "/info", camera_info(0)
    yield 1.60, "/rear", cloud(ns(10.0), frame="odom")
    yield 1.62, "/points", cloud(ns(1.62), frame="odom")
    yield 1.64, "/points", cloud(ns(10.1), frame="odom")
    yield next(pair(1.66, stamp=10.2))  # still without a partner when time goes back
    for step in range(3):
        yield 1.70 + step / 50, "/points", cloud(ns(1.7 + step / 50), frame="odom")
    yield 1.80, "/points", cloud(ns(1.8), frame="odom")
    yield from pair(1.90, stamp=1.9)


def counted(inputs):
    return {
        name: (counts.received, counts.fused, dict(counts.drops))
        for name, counts in inputs.items()
    }


def kept(sources):
    """What cameras keep without counting it: camera_info, and images without a partner."""
    cameras = [source for source in sources if "info" in source.held]
    infos = [camera.held["info"] for camera in cameras]
    calibrations = [None if info is None else (info.width, list(info.k)) for info in infos]
    return [camera._pairer.waiting for camera in cameras], calibrations


def test_the_node_and_a_bag_count_the_same(harness, tmp_path):
    one = harness(**PARAMETERS)
    one.start()
    with open_bag(write(tmp_path / "in", day())) as bag:
        outputs = {
            name: one.publisher(
                name,
                message_class(topic.type),
                LATCHED if name == "/tf_static" else RELIABLE,
            )
            for name, topic in bag.topics.items()
        }
        settings = one.node._configured.pipeline.settings
        voxels = VoxelMap(
            settings.voxel_size,
            window_seconds=settings.window_seconds,
            radius=settings.window_radius,
            max_voxels=settings.max_voxels,
        )
        inputs = tuple(one.node._configured.inputs.configs.values())
        intake = BagIntake(bag, InputPlan(settings, inputs), voxels)
        counts = intake.no_counts()
        intake.count_in(counts)
        for topic, kind, time, raw in bag.messages(list(outputs)):
            intake.take(topic, kind, time, raw)
            outputs[topic].publish(raw)
            undecided = intake.is_undecided(counts)  # it waits for a transform in both

            def agree(undecided=undecided):
                report, sources = (
                    one.node._activation.node.statistics.report().inputs,
                    one.node._configured.inputs.inputs,
                )
                if any(source.has_mail for source in sources):
                    return False
                if kept(sources) != kept(intake._inputs):
                    return False
                if undecided:  # how long it waits is up to the clock: the next message tells
                    return report["front"].received == counts.inputs["front"].received
                return counted(report) == counted(counts.inputs)

            when = f"{topic} at {(time - START) / SECOND:.2f} s"
            one.wait(agree, f"{counted(counts.inputs)} after {when}")
    assert counted(counts.inputs) == {
        "front": (
            15,
            6,
            {
                "empty": 1,
                "malformed": 1,
                "out_of_order": 3,
                "no_stamp": 1,
                "no_transform": 1,
                "off_map": 1,
                "outdated": 1,
            },
        ),
        "rear": (1, 1, {}),
        "head": (7, 3, {"unpaired": 1, "bad_camera_info": 2, "restart": 1}),
    }
    assert counts.restarts == 1

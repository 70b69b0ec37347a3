# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""RViz gets a configuration in which every display finds a publisher that it can hear."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import yaml
from paths import REPOSITORY

pytest.importorskip("rclpy")

from geometry_msgs.msg import PointStamped
from rclpy.qos import (
    DurabilityPolicy,
    QoSCompatibility,
    QoSProfile,
    ReliabilityPolicy,
    qos_check_compatible,
    qos_profile_sensor_data,
)
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from visualization_msgs.msg import MarkerArray

from concerto_ros.ros.bringup.launch_arguments import (
    FLAGS,
    TEXTS,
    argument_sections,
    file_sections,
)
from concerto_ros.ros.bringup.rviz_config import NodeName, rviz_config, rviz_remappings
from concerto_ros.sensors.images.topics import is_compressed
from concerto_ros.settings.checked_parameters import CheckedParameters, checked_parameters

LAYOUT = yaml.safe_load((REPOSITORY / "rviz" / "perception.rviz").read_text(encoding="utf-8"))

ARGUMENTS = dict.fromkeys((*TEXTS, *FLAGS, "voxel_size", "cloud_topic", "camera"), "")

#: Messages of the displays' topics, as RViz subscribes to them.
MESSAGES = {"PointCloud2": PointCloud2, "Image": Image, "MarkerArray": MarkerArray}

EVERYTHING = """
/**:
  ros__parameters:
    fixed_frame: map
    cloud_names: [front, rear]
    clouds.front.topic: points
    clouds.rear.topic: /rear/points
    camera_names: [head, wrist, bare]
    cameras.head.color_topic: head/color/image_raw
    cameras.head.depth_topic: head/aligned_depth_to_color/image_raw
    cameras.head.info_topic: head/color/camera_info
    cameras.wrist.color_topic: /wrist/rgb/image/compressed
    cameras.wrist.depth_topic: /wrist/depth/image/compressedDepth
    cameras.wrist.info_topic: /wrist/rgb/info
    cameras.wrist.depth_info_topic: /wrist/depth/info
    cameras.bare.depth_topic: ~/bare/depth/zstd
    cameras.bare.info_topic: ~/bare/camera_info
    filter_names: [obstacles, ground]
    filters.obstacles.exclude: [floor]
    filters.ground.include: [floor]
"""


class Heard(NamedTuple):
    """A topic that RViz subscribes to."""

    topic: str
    kind: type
    qos: QoSProfile


def launched(tmp_path, text: str, namespace: str = "/", **arguments: str):
    """The node, its parameters and the configuration of RViz, for launch arguments."""
    path = tmp_path / "robot.yaml"
    path.write_text(text, encoding="utf-8")
    node = NodeName(namespace, "concerto")
    values = ARGUMENTS | {"params_file": str(path)} | arguments
    overrides = argument_sections(values, node.full)
    given = checked_parameters(node.full, file_sections(values), overrides)
    return node, given, rviz_config(LAYOUT, node, given)


def displays(config: dict) -> dict[str, dict[str, Any]]:
    return {display["Name"]: display for display in config["Visualization Manager"]["Displays"]}


def heard(config: dict, remappings: dict[str, str]) -> Iterator[Heard]:
    """What RViz 2 subscribes to for the displays of a configuration."""
    for display in displays(config).values():
        kind = display["Class"].rpartition("/")[2]
        if kind == "DepthCloud":
            qos = qos_profile_sensor_data
            assert display["Reliability Policy"] == "Best effort"
            depth = display["Depth Map Topic"]
            for topic, hint in (
                (depth, display["Depth Map Transport Hint"]),
                (display["Color Image Topic"], display["Color Transport Hint"]),
            ):
                if topic and hint == "raw":
                    yield Heard(topic, Image, qos)
                elif topic:
                    yield Heard(f"{topic}/{hint}", CompressedImage, qos)
            # RViz takes the camera_info that lies beside the depth image.
            info = f"{depth.rpartition('/')[0]}/camera_info"
            yield Heard(remappings.get(info, info), CameraInfo, qos)
        elif "Topic" in display:
            topic = display["Topic"]
            compressed = is_compressed(topic["Value"])
            yield Heard(
                topic["Value"],
                CompressedImage if compressed else MESSAGES[kind],
                QoSProfile(
                    depth=topic["Depth"],
                    reliability=ReliabilityPolicy[
                        topic["Reliability Policy"].upper().replace(" ", "_")
                    ],
                    durability=DurabilityPolicy[
                        topic["Durability Policy"].upper().replace(" ", "_")
                    ],
                ),
            )


def publish_inputs(one: Any, given: CheckedParameters, node: NodeName) -> None:
    """Publishers of what the parameters name as inputs, as drivers have them."""
    for source in given.inputs:
        for key, topic in source.topics.items():
            kind = CameraInfo if "info" in key else Image if "_topic" in key else PointCloud2
            if is_compressed(topic):
                kind = CompressedImage
            one.robot.create_publisher(kind, node.topic(topic), qos_profile_sensor_data)


def start(harness, given: CheckedParameters, node: NodeName) -> Any:
    one = harness(namespace=node.namespace, **given.values)
    assert one.configure()
    return one


def deaf(one: Any, config: dict, remappings: dict[str, str]) -> list[str]:
    """The topics on which RViz would hear nothing, with the reason."""
    found = []
    for topic, kind, qos in heard(config, remappings):
        offered = one.robot.get_publishers_info_by_topic(topic)
        if not offered:
            found.append(f"{topic}: no publisher")
        for endpoint in offered:
            if endpoint.topic_type != f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}":
                found.append(f"{topic}: {endpoint.topic_type}, not {kind.__name__}")
            compatible, why = qos_check_compatible(endpoint.qos_profile, qos)
            if compatible == QoSCompatibility.ERROR:
                found.append(f"{topic}: {why}")
    return found


@pytest.mark.parametrize("namespace", ["/", "/robot1", "/fleet/robot1"])
def test_every_display_finds_a_publisher_of_its_type_and_qos(harness, tmp_path, namespace: str):
    node, given, config = launched(tmp_path, EVERYTHING, namespace)
    one = start(harness, given, node)
    publish_inputs(one, given, node)
    remappings = dict(rviz_remappings(node, given))
    one.wait(lambda: not deaf(one, config, remappings), "every display to find its publisher")
    # All outputs, both clouds, three cameras of which two have colour, and both filters.
    assert len(displays(config)) == 2 + 6 + 2 + 3 + 2 + 2


@pytest.mark.parametrize(
    ("text", "arguments", "topics"),
    [
        ("", {"cloud_topic": "points"}, {"Input cloud": "/robot1/points"}),
        ("", {"cloud_topic": "/points"}, {"Input cloud": "/points"}),
        (
            "",
            {"camera": "camera/camera"},
            {"Image camera_camera": "/camera/camera/color/image_raw"},
        ),
        (EVERYTHING, {"cloud_topic": "/points"}, {"Input cloud": "/points"}),
    ],
)
def test_the_inputs_of_the_arguments_are_shown(tmp_path, text: str, arguments, topics):
    text = text or "/**:\n  ros__parameters: {}\n"
    _, _, config = launched(tmp_path, text, "/robot1", **arguments)
    shown = displays(config)
    for name, topic in topics.items():
        assert shown[name]["Topic"]["Value"] == topic
        assert shown[name]["Enabled"]
    assert "Input front" not in shown


def test_the_fixed_frame_is_the_node_s(tmp_path):
    frames = []
    for arguments in ({}, {"fixed_frame": "7"}):
        _, given, config = launched(tmp_path, EVERYTHING, **arguments)
        assert (
            given.settings.fixed_frame
            == config["Visualization Manager"]["Global Options"]["Fixed Frame"]
        )
        frames.append(given.settings.fixed_frame)
    assert frames == ["map", "7"]


@pytest.mark.parametrize("namespace", ["/", "/robot1"])
def test_a_click_reaches_the_node_of_its_own_namespace_alone(harness, tmp_path, namespace: str):
    node, given, config = launched(tmp_path, EVERYTHING, namespace)
    one = start(harness, given, node)
    (tool,) = (
        tool
        for tool in config["Visualization Manager"]["Tools"]
        if tool["Class"].endswith("PublishPoint")
    )
    topic = tool["Topic"]["Value"]
    assert topic == f"{namespace.rstrip('/')}/clicked_point"
    publisher = one.robot.create_publisher(PointStamped, topic, 5)
    elsewhere = one.robot.create_publisher(PointStamped, "/robot2/clicked_point", 5)
    one.wait(publisher.get_subscription_count, "the node to hear clicks")
    assert elsewhere.get_subscription_count() == 0


def test_overridden_qos_is_followed(harness, tmp_path):
    text = EVERYTHING + (
        "    qos_overrides./robot1/concerto/labels.publisher.reliability: best_effort\n"
        "    qos_overrides./robot1/concerto/legend.publisher.durability: volatile\n"
        "    qos_overrides./robot1/concerto/filtered/ground.publisher.reliability: best_effort\n"
    )
    node, given, config = launched(tmp_path, text, "/robot1")
    one = start(harness, given, node)
    publish_inputs(one, given, node)
    remappings = dict(rviz_remappings(node, given))
    one.wait(lambda: not deaf(one, config, remappings), "every display to find its publisher")


def test_colour_is_laid_on_depth_only_where_they_are_aligned(tmp_path):
    shown = displays(launched(tmp_path, EVERYTHING)[2])
    assert shown["Input head"]["Color Image Topic"] == "/head/color/image_raw"
    assert shown["Input wrist"]["Color Image Topic"] == ""
    assert shown["Input bare"]["Color Image Topic"] == ""


def test_labels_without_colours_are_coloured_by_their_class(tmp_path):
    text = EVERYTHING + "    labels.layout: autoware\n"
    labels = displays(launched(tmp_path, text)[2])["Labels"]
    assert (labels["Color Transformer"], labels["Channel Name"]) == ("Intensity", "class_id")


def test_without_inputs_the_layout_has_the_outputs_alone(tmp_path):
    _, _, config = launched(tmp_path, "/**:\n  ros__parameters: {}\n")
    names = set(displays(config))
    assert names == set(displays(LAYOUT)) - {"Input"}
    assert yaml.safe_load(yaml.safe_dump(config)) == config

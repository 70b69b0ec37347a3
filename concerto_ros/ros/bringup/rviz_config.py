# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""RViz for one node: its frame, its topics, its inputs and its filters.

``rviz/perception.rviz`` shows a node ``/concerto`` with a cloud on ``/points``. Here that layout
is fitted to what a node is really given, with every topic by its full name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from rclpy.expand_topic_name import expand_topic_name

from concerto_ros.sensors.images.topics import base_topic
from concerto_ros.settings.checked_parameters import CheckedParameters
from concerto_ros.settings.inputs import CameraInput, CloudInput

#: The display of the layout that is the pattern for clouds of sensors; and that for filters.
INPUT, LABELS = "Input", "Labels"

#: Colours of filters, one after the other; the labels beneath have their palette's.
FILTER_COLORS = ("255; 255; 255", "255; 0; 255", "0; 255; 255", "255; 255; 0")

#: What RViz calls the policies that may be overridden for a publisher of the node.
POLICIES = {
    "reliability": {"reliable": "Reliable", "best_effort": "Best Effort"},
    "durability": {"volatile": "Volatile", "transient_local": "Transient Local"},
}


@dataclass(frozen=True)
class NodeName:
    """The name of a node.

    Attributes:
        namespace: Begins with a slash.
        name: Without it.
    """

    namespace: str
    name: str

    @property
    def full(self) -> str:
        """Namespace and name."""
        return f"{self.namespace.rstrip('/')}/{self.name}"

    def topic(self, name: str) -> str:
        """Return the full name of a topic that the node calls ``name``."""
        return expand_topic_name(name, self.name, self.namespace)


def rviz_config(layout: Mapping[str, Any], node: NodeName, given: CheckedParameters) -> dict:
    """Fit a configuration of RViz to a node.

    Args:
        layout: Content of ``rviz/perception.rviz``.
        node: The node that is shown.
        given: Its parameters.

    Returns:
        The content of a configuration file.
    """
    config = deepcopy(dict(layout))
    manager = config["Visualization Manager"]
    manager["Global Options"]["Fixed Frame"] = given.settings.fixed_frame
    patterns = {display["Name"]: display for display in manager["Displays"]}
    for shown in (*manager["Displays"], *manager["Tools"]):
        if "Topic" in shown:
            shown["Topic"]["Value"] = node.namespace.rstrip("/") + shown["Topic"]["Value"]
            _use_overridden_qos(shown["Topic"], given.values)
    if given.settings.labels.layout == "autoware":  # has no colours
        patterns[LABELS] |= {"Color Transformer": "Intensity", "Channel Name": "class_id"}
    filters = [
        _filter(patterns[LABELS], f"{node.full}/filtered/{each.name}", each.name, color)
        for each, color in zip(given.filters, _repeated(FILTER_COLORS), strict=False)
    ]
    for each in filters:
        _use_overridden_qos(each["Topic"], given.values)
    inputs: list[dict] = []
    for source in given.inputs:
        if isinstance(source, CloudInput):
            inputs.append(_cloud(patterns[INPUT], source, node))
        elif isinstance(source, CameraInput):
            inputs += _camera(source, node)
    rest = [display for display in manager["Displays"] if display["Name"] != INPUT]
    manager["Displays"] = [*inputs, *rest, *filters]
    return config


def rviz_remappings(node: NodeName, given: CheckedParameters) -> list[tuple[str, str]]:
    """Remappings without which RViz shows no depth image.

    It takes the camera_info beside a depth image, whatever the camera's is called.

    Args:
        node: The node that is shown.
        given: Its parameters.
    """
    remappings = {}
    for source in given.inputs:
        if isinstance(source, CameraInput) and source.depth_topic:
            depth, _ = _transport(node.topic(source.depth_topic))
            expected = f"{depth.rpartition('/')[0]}/camera_info"
            published = node.topic(source.depth_info_topic or source.info_topic)
            if published != expected:
                remappings[expected] = published
    return list(remappings.items())


def _use_overridden_qos(topic: dict[str, Any], values: Mapping[str, Any]) -> None:
    """Ask for no more than the node offers: its QoS may be overridden by parameters."""
    for policy, words in POLICIES.items():
        offered = values.get(f"qos_overrides.{topic['Value']}.publisher.{policy}")
        if offered in words:
            topic[f"{policy.capitalize()} Policy"] = words[offered]


def _cloud(pattern: Mapping[str, Any], source: CloudInput, node: NodeName) -> dict[str, Any]:
    display = deepcopy(dict(pattern)) | {"Name": f"Input {source.name}"}
    display["Topic"]["Value"] = node.topic(source.topic)
    return display


def _camera(source: CameraInput, node: NodeName) -> Iterator[dict[str, Any]]:
    """The depth image as points, coloured where colour is aligned to it; and the colour image."""
    color = node.topic(source.color_topic) if source.color_topic else ""
    if source.depth_topic:
        depth, depth_transport = _transport(node.topic(source.depth_topic))
        aligned, color_transport = ("", "raw") if source.depth_info_topic else _transport(color)
        yield {
            "Class": "rviz_default_plugins/DepthCloud",
            "Name": f"Input {source.name}",
            "Alpha": 0.3,
            "Color Transformer": "RGB8" if aligned else "FlatColor",
            "Depth Map Topic": depth,
            "Depth Map Transport Hint": depth_transport,
            "Color Image Topic": aligned,
            "Color Transport Hint": color_transport,
            "Reliability Policy": "Best effort",
            "Queue Size": 5,
            "Style": "Points",
            "Enabled": True,
            "Value": True,
        }
    if color:
        yield {
            "Class": "rviz_default_plugins/Image",
            "Name": f"Image {source.name}",
            "Topic": {
                "Depth": 1,
                "Durability Policy": "Volatile",
                "History Policy": "Keep Last",
                "Reliability Policy": "Best Effort",
                "Value": color,
            },
            "Enabled": True,
            "Value": True,
        }


def _filter(pattern: Mapping[str, Any], topic: str, name: str, color: str) -> dict[str, Any]:
    """Translucent boxes around the voxels that pass, a little larger than those of the labels."""
    display = deepcopy(dict(pattern))
    display |= {
        "Name": f"Filter {name}",
        "Alpha": 0.3,
        "Color Transformer": "FlatColor",
        "Color": color,
        "Size (m)": 1.5 * display["Size (m)"],
    }
    display["Topic"]["Value"] = topic
    return display


def _transport(topic: str) -> tuple[str, str]:
    """What RViz wants of a topic of image_transport: the name of the image, and the transport."""
    base = base_topic(topic)
    return base, topic[len(base) + 1 :] or "raw"


def _repeated(colors: Iterable[str]) -> Iterator[str]:
    while True:
        yield from colors

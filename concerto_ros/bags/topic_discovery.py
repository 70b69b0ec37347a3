# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which topics of a recording to perceive, told from what they hold rather than from their names.

First RGB-D cameras (colour, depth and camera_info that belong together, depth registered to
colour where there is such), else point clouds; and the root of the TF tree above them as fixed
frame.
"""

from __future__ import annotations

import os.path
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from concerto_ros.bags.reader import Bag, BagError
from concerto_ros.bags.transforms import fill_tree
from concerto_ros.sensors.transform_tree import TransformTree, TransformUnavailable
from concerto_ros.settings.inputs import CameraInput, CloudInput, InputSettings

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
POINT_CLOUD = "sensor_msgs/msg/PointCloud2"

COLOR_ENCODINGS = ("rgb8", "bgr8", "rgba8", "bgra8", "mono8")
DEPTH_ENCODINGS = ("16UC1", "32FC1")  # REP-118
TRANSFORM_MESSAGES = 5000  # enough to know the tree without reading hours of it


class CameraTopics(NamedTuple):
    """``depth_info`` only where depth is not registered to colour and has to be reprojected."""

    color: str
    depth: str
    info: str
    depth_info: str | None


@dataclass
class BagInputs:
    """What to perceive: cameras or clouds, the fixed frame, and sentences that say why."""

    cameras: list[CameraTopics] = field(default_factory=list)
    clouds: list[str] = field(default_factory=list)
    fixed_frame: str = ""
    why: list[str] = field(default_factory=list)

    @property
    def inputs(self) -> tuple[InputSettings, ...]:
        """The same as parameters, numbered by kind."""
        cameras = (
            CameraInput(
                f"camera{i}",
                color_topic=camera.color,
                depth_topic=camera.depth,
                info_topic=camera.info,
                depth_info_topic=camera.depth_info or "",
            )
            for i, camera in enumerate(self.cameras)
        )
        clouds = (CloudInput(f"cloud{i}", topic) for i, topic in enumerate(self.clouds))
        return (*clouds, *cameras)


class _Stream(NamedTuple):
    """A topic by its first message. ``size`` is (width, height), None where not known."""

    topic: str
    frame: str
    size: tuple[int, int] | None
    kind: str  # color, grey, depth, info or cloud
    compressed: bool = False
    points: int = 0

    @property
    def folder(self) -> str:
        """The namespace a camera's topics share: without the name and the transport's suffix."""
        name = self.topic
        return os.path.dirname(os.path.dirname(name) if self.compressed else name)


def find_inputs(bag: Bag) -> BagInputs:
    """Choose the inputs of a bag; raises BagError, listing the topics, where there are none."""
    found = BagInputs()
    streams = [stream for name in bag.topics if (stream := _first(bag, name, found.why))]
    tree = TransformTree()
    if broken := fill_tree(tree, bag, TRANSFORM_MESSAGES):
        found.why.append(f"Left out {broken} transforms that make no sense.")
    roots = {stream.frame: _root(tree, stream.frame, found.why) for stream in streams}
    pairs = _cameras(streams, roots, found.why)
    clouds = [] if pairs else _clouds(streams, roots, found.why)
    if not pairs and not clouds:
        topics = ", ".join(f"{name} ({topic.type})" for name, topic in bag.topics.items())
        raise BagError(
            f"{bag.path} has neither colour, depth and camera_info that belong together nor a "
            f"PointCloud2 with x, y and z; its topics are: {topics}"
        )
    # one map has one fixed frame: that of the first input, and of all that hang on the same tree
    first = pairs[0][1] if pairs else clouds[0]
    found.fixed_frame = roots[first.frame]
    for camera, depth in pairs:
        if roots[depth.frame] == found.fixed_frame:
            found.cameras.append(camera)
        else:
            found.why.append(_elsewhere(camera.depth, depth.frame, found.fixed_frame))
    for cloud in clouds:
        if roots[cloud.frame] == found.fixed_frame:
            found.clouds.append(cloud.topic)
            found.why.append(f"Uses the cloud {cloud.topic} (frame {cloud.frame}).")
        else:
            found.why.append(_elsewhere(cloud.topic, cloud.frame, found.fixed_frame))
    unused = [stream.topic for stream in streams if stream.kind == "cloud"] if pairs else []
    if unused:
        found.why.append(f"Leaves out {', '.join(unused)}: the cameras are used instead.")
    if found.fixed_frame == first.frame:
        found.why.append(f"The fixed frame is {first.frame}, the sensor's own: no TF above it.")
    else:
        found.why.append(
            f"The fixed frame is {found.fixed_frame}, the root of the TF tree above {first.frame}."
        )
    return found


def sees_near(bag: Bag, inputs: BagInputs) -> bool:
    """Whether an input is a depth camera, by its own messages or by the clouds made of them."""
    return bool(inputs.cameras) or any(_is_of_camera(bag, topic) for topic in inputs.clouds)


def _is_of_camera(bag: Bag, topic: str) -> bool:
    """Whether the first cloud of ``topic`` has a camera's colours or optical axes (REP-103)."""
    for _, kind, _, raw in bag.messages([topic]):
        try:
            cloud = bag.deserialize(raw, kind)
        except BagError:
            continue
        names = {field.name for field in cloud.fields}
        return bool(names & {"rgb", "rgba"}) or "optical" in cloud.header.frame_id
    return False


def _first(bag: Bag, name: str, why: list[str]) -> _Stream | None:
    """What a topic holds, by the first of its messages that can be read."""
    kind = bag.topics[name].type
    if kind not in (IMAGE, COMPRESSED_IMAGE, CAMERA_INFO, POINT_CLOUD):
        return None
    fault = "it cannot be read"
    for _, message_type, _, raw in islice(bag.messages([name]), 5):
        try:
            return _stream(name, kind, bag.deserialize(raw, message_type), why)
        except BagError as error:
            fault = str(error)
    if bag.topics[name].count:
        why.append(f"Leaves out {name}: {fault}.")
    return None


def _stream(name: str, kind: str, message, why: list[str]) -> _Stream | None:
    frame = message.header.frame_id.removeprefix("/")
    if not frame:
        why.append(f"Leaves out {name}: its messages name no frame.")
        return None
    if kind == POINT_CLOUD:
        points = message.width * message.height
        if {"x", "y", "z"} <= {entry.name for entry in message.fields} and points:
            return _Stream(name, frame, None, "cloud", points=points)
        why.append(f"Leaves out {name}: its first cloud has no points or no x, y and z.")
        return None
    if kind == COMPRESSED_IMAGE:
        what = "depth" if "compresseddepth" in message.format.lower() else "color"
        return _Stream(name, frame, None, what, compressed=True)
    size = (message.width, message.height)
    if kind == CAMERA_INFO:
        return _Stream(name, frame, size, "info")
    if message.encoding in DEPTH_ENCODINGS:
        return _Stream(name, frame, size, "depth")
    if message.encoding in COLOR_ENCODINGS:
        return _Stream(name, frame, size, "grey" if message.encoding == "mono8" else "color")
    why.append(f"Leaves out {name}: its encoding {message.encoding} is not decoded.")
    return None


def _root(tree: TransformTree, frame: str, why: list[str]) -> str:
    try:
        return tree.root_of(frame)
    except TransformUnavailable as error:
        why.append(f"Frame {frame} is used as it is: {error}.")
        return frame


def _cameras(streams, roots, why) -> list[tuple[CameraTopics, _Stream]]:
    """Colour, depth and camera_info that belong together, with the depth stream; best first."""
    infos = [stream for stream in streams if stream.kind == "info"]
    depths = [stream for stream in streams if stream.kind == "depth"]
    colors = [stream for stream in streams if stream.kind == "color"]
    # grey images beside colour ones are the infrared view of the same camera
    colors = colors or [stream for stream in streams if stream.kind == "grey"]
    candidates = []
    for color in colors:
        info = _info_of(color, infos)
        for depth in depths if info else ():
            depth_info = _info_of(depth, infos)
            registered = color.frame == depth.frame and _same(
                color.size or info.size, depth.size or (depth_info and depth_info.size)
            )
            if not registered and (depth_info is None or roots[color.frame] != roots[depth.frame]):
                continue
            near = len(os.path.commonprefix([color.folder, depth.folder]))
            score = (registered, near, -color.compressed - depth.compressed)
            camera = CameraTopics(
                color.topic, depth.topic, info.topic, None if registered else depth_info.topic
            )
            candidates.append((score, camera, color, depth))
    candidates.sort(key=lambda entry: (*(-value for value in entry[0]), entry[1][:2]))
    chosen, taken = [], set()
    for _, camera, color, depth in candidates:
        # one camera per optical frame: raw and compressed topics, or depth raw and aligned, are
        # the same readings twice
        if ("color", color.frame) in taken or ("depth", depth.frame) in taken:
            continue
        taken |= {("color", color.frame), ("depth", depth.frame)}
        chosen.append((camera, depth))
        how = "registered to it" if camera.depth_info is None else "reprojected into it through TF"
        why.append(f"Uses the camera {camera.color} with the depth {camera.depth}, {how}.")
    for color in colors:
        if ("color", color.frame) not in taken:
            lack = "depth registered to it; turn on aligned depth"
            lack = lack if _info_of(color, infos) else "camera_info in its namespace or frame"
            why.append(f"Leaves out {color.topic}: there is no {lack}.")
    return chosen


def _info_of(image: _Stream, infos: list[_Stream]) -> _Stream | None:
    """The camera_info beside an image, or else one of the same frame and size."""
    for info in infos:
        if info.folder == image.folder and _same(info.size, image.size):
            return info
    for info in infos:
        if info.frame == image.frame and _same(info.size, image.size):
            return info
    return None


def _same(one, other) -> bool:
    return one is None or other is None or one == other


def _clouds(streams, roots, why) -> list[_Stream]:
    """The clouds of the sensors: one per frame, the one with most points; biggest first."""
    clouds = [stream for stream in streams if stream.kind == "cloud"]
    clouds.sort(key=lambda stream: (-stream.points, stream.topic))
    # a cloud in the root of the tree is a map that somebody built from the others
    sensed = [stream for stream in clouds if roots[stream.frame] != stream.frame]
    chosen = {}
    for cloud in clouds:
        if sensed and cloud not in sensed:
            why.append(f"Leaves out {cloud.topic}: it is a cloud in the fixed frame itself.")
        elif cloud.frame in chosen:
            other = chosen[cloud.frame].topic
            why.append(f"Leaves out {cloud.topic}: {other} shows the same with more points.")
        else:
            chosen[cloud.frame] = cloud
    return list(chosen.values())


def _elsewhere(topic: str, frame: str, fixed_frame: str) -> str:
    return f"Leaves out {topic}: TF does not connect its frame {frame} to {fixed_frame}."

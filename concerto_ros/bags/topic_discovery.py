# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Detection of the inputs of a recording from its messages rather than from topic names.

RGB-D cameras first (colour, depth and camera_info that belong together, preferably with depth
registered to colour), else point clouds; the fixed frame is the root of the TF tree above them.
"""

from __future__ import annotations

import os.path
from dataclasses import dataclass, field
from typing import NamedTuple

from concerto_ros.bags.reader import Bag, BagError
from concerto_ros.bags.recognition import Stream, recognise
from concerto_ros.bags.transforms import fill_tree
from concerto_ros.sensors.transform_tree import TransformTree, TransformUnavailable
from concerto_ros.settings.inputs import CameraInput, CloudInput, InputSettings

#: Enough for the structure of the tree.
TRANSFORM_MESSAGES = 5000


class CameraTopics(NamedTuple):
    """The topics of an RGB-D camera.

    Attributes:
        color: The colour image.
        depth: The depth image.
        info: The camera_info of the colour image.
        depth_info: The camera_info of a depth image that is not registered to colour and has to
            be reprojected; else None.
    """

    color: str
    depth: str
    info: str
    depth_info: str | None


@dataclass
class BagInputs:
    """The inputs detected in a bag.

    Attributes:
        cameras: RGB-D cameras, the best first.
        clouds: Topics of point clouds, the largest first; only without cameras.
        fixed_frame: Root of the TF tree above the inputs.
        near: Whether an input is a depth camera, or a cloud of one.
        why: Sentences that explain the choice.
    """

    cameras: list[CameraTopics] = field(default_factory=list)
    clouds: list[str] = field(default_factory=list)
    fixed_frame: str = ""
    near: bool = False
    why: list[str] = field(default_factory=list)

    @property
    def inputs(self) -> tuple[InputSettings, ...]:
        """The parameters of the inputs, named camera0, ... or cloud0, ..."""
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


def find_inputs(bag: Bag) -> BagInputs:
    """Detect the inputs of a bag.

    Raises:
        BagError: There are none; the text lists the topics.
    """
    found = BagInputs()
    streams = []
    for name in bag.topics:
        stream, sentence = recognise(bag, name)
        if stream is not None:
            streams.append(stream)
        if sentence:
            found.why.append(sentence)
    tree = TransformTree()
    if broken := fill_tree(tree, bag, TRANSFORM_MESSAGES):
        found.why.append(f"Leaves out {broken} transforms: they are invalid.")
    roots = {stream.frame: _root(tree, stream.frame, found.why) for stream in streams}
    pairs = _cameras(streams, roots, found.why)
    clouds = [] if pairs else _clouds(streams, roots, found.why)
    if not pairs and not clouds:
        topics = ", ".join(f"{name} ({topic.type})" for name, topic in bag.topics.items())
        raise BagError(
            f"{bag.path}: got topics {topics}; expected matching colour, depth and camera_info"
            f" topics, or a PointCloud2 with x, y and z. {' '.join(found.why)}".rstrip()
        )
    # one map has one fixed frame: inputs in another TF tree than the first are left out
    first = pairs[0][1] if pairs else clouds[0]
    found.fixed_frame = roots[first.frame]
    for camera, depth in pairs:
        if roots[depth.frame] == found.fixed_frame:
            found.cameras.append(camera)
            found.near = True
        else:
            found.why.append(_elsewhere(camera.depth, depth.frame, found.fixed_frame))
    for cloud in clouds:
        if roots[cloud.frame] == found.fixed_frame:
            found.clouds.append(cloud.topic)
            found.near |= cloud.of_camera
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


def _root(tree: TransformTree, frame: str, why: list[str]) -> str:
    try:
        return tree.root_of(frame)
    except TransformUnavailable as error:
        why.append(f"Frame {frame} is used as the fixed frame: {error}.")
        return frame


def _cameras(
    streams: list[Stream], roots: dict[str, str], why: list[str]
) -> list[tuple[CameraTopics, Stream]]:
    """Return colour, depth and camera_info that belong together, each with its depth stream."""
    infos = [stream for stream in streams if stream.kind == "info"]
    depths = [stream for stream in streams if stream.kind == "depth"]
    colors = [stream for stream in streams if stream.kind == "color"]
    # grey images beside colour ones are the infrared view of the same camera
    colors = colors or [stream for stream in streams if stream.kind == "grey"]
    # a camera whose colours are not decoded still gives its depth
    colors += [stream for stream in streams if stream.kind == "undecoded"]
    candidates = []
    for color in colors:
        info = _info_of(color, infos)
        if info is None:
            continue
        for depth in depths:
            depth_info = _info_of(depth, infos)
            registered = color.frame == depth.frame and _same(
                color.size or info.size, depth.size or (depth_info and depth_info.size)
            )
            reprojected = None
            if not registered:
                if depth_info is None or roots[color.frame] != roots[depth.frame]:
                    continue
                reprojected = depth_info.topic
            near = len(os.path.commonprefix([color.folder, depth.folder]))
            decoded = color.kind != "undecoded"
            score = (decoded, registered, near, -color.compressed - depth.compressed)
            camera = CameraTopics(color.topic, depth.topic, info.topic, reprojected)
            candidates.append((score, camera, color, depth))
    candidates.sort(key=lambda item: (*(-value for value in item[0]), item[1][:2]))
    chosen: list[tuple[CameraTopics, Stream]] = []
    used_frames: set[tuple[str, str]] = set()
    for _, camera, color, depth in candidates:
        # one camera per optical frame: raw and compressed topics, or depth raw and aligned, hold
        # the same images twice
        if ("color", color.frame) in used_frames or ("depth", depth.frame) in used_frames:
            continue
        used_frames |= {("color", color.frame), ("depth", depth.frame)}
        chosen.append((camera, depth))
        how = "registered to it" if camera.depth_info is None else "reprojected into it through TF"
        why.append(f"Uses the camera {camera.color} with the depth {camera.depth}, {how}.")
    for color in colors:
        if ("color", color.frame) not in used_frames:
            missing = "depth registered to it; turn on aligned depth"
            if _info_of(color, infos) is None:
                missing = "camera_info in its namespace or frame"
            why.append(f"Leaves out {color.topic}: there is no {missing}.")
    return chosen


def _info_of(image: Stream, infos: list[Stream]) -> Stream | None:
    """Return the camera_info in the namespace of an image, else one of the same frame and size."""
    for info in infos:
        if info.folder == image.folder and _same(info.size, image.size):
            return info
    for info in infos:
        if info.frame == image.frame and _same(info.size, image.size):
            return info
    return None


def _same(first: tuple[int, int] | None, second: tuple[int, int] | None) -> bool:
    return first is None or second is None or first == second


def _clouds(streams: list[Stream], roots: dict[str, str], why: list[str]) -> list[Stream]:
    """Return the clouds of the sensors: per frame the one with most points; largest first."""
    clouds = [stream for stream in streams if stream.kind == "cloud"]
    clouds.sort(key=lambda stream: (-stream.points, stream.topic))
    # a cloud in the root of the tree is a map that was built from the others
    sensed = [stream for stream in clouds if roots[stream.frame] != stream.frame]
    chosen: dict[str, Stream] = {}
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

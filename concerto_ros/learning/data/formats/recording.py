# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The single frames of a recording: found by one pass without decoding, read when asked for."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from concerto_ros.bags.reader import Bag, BagError, open_bag
from concerto_ros.bags.topic_discovery import (
    CAMERA_INFO,
    TRANSFORMS,
    BagInputs,
    CameraTopics,
    find_inputs,
)
from concerto_ros.sensors.depth_frame import depth_frame
from concerto_ros.sensors.frame import Frame
from concerto_ros.sensors.input_error import InputError
from concerto_ros.sensors.message_fields import join_stamp
from concerto_ros.sensors.pairing import StampPairer
from concerto_ros.sensors.point_cloud2 import decode_point_cloud
from concerto_ros.sensors.transform_tree import Transform, TransformTree, TransformUnavailable
from concerto_ros.settings.presets import Preset

#: Nanoseconds between the stamps of colour and depth: the node's default sync_tolerance.
PAIR_TOLERANCE = 20_000_000

#: Seconds of transforms that are kept: all of them, however long the recording.
WHOLE_RECORDING = 1e9

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Moment:
    """One frame that can be read.

    Attributes
    ----------
    topic: of the cloud or the depth image.
    stamp: nanoseconds, of the sensor.
    messages: (topic, log time in nanoseconds) of the cloud, or of colour and depth image.
    infos: the camera's and the depth image's camera_info, None where there is none.
    place: from the sensor's frame into the map's.
    depth_to_color: where depth is not registered to colour.
    """

    topic: str
    stamp: int
    messages: tuple[tuple[str, int], ...]
    infos: tuple[Any, Any]
    place: Transform
    depth_to_color: Transform | None


class Recording:
    """The frames of a bag whose place in the map's frame is known.

    ``every``: seconds between frames of one input. ``unplaced``: why frames were left out, as
    (number, the last reason).
    """

    def __init__(self, path: Path, map_frame: str | None, every: float, preset: Preset):
        self.path = path
        self.preset = preset
        self.unplaced: tuple[int, str] = (0, "")
        with open_bag(path) as bag:
            inputs = find_inputs(bag)
            self.map_frame = map_frame or inputs.fixed_frame
            tree = _transforms(bag)
            self.moments = self._placed(bag, inputs, tree, round(every * 1e9))

    def read(self, moment: Moment, corner: np.ndarray) -> Frame:
        """The frame along the axes of the map's frame, relative to ``corner`` (3,) in it.

        A corner near the sensor keeps the millimetres of a georeferenced frame. Raises InputError
        or BagError where the frame cannot be decoded.
        """
        with open_bag(self.path) as bag:
            messages = [_message(bag, topic, time) for topic, time in moment.messages]
        limits = {"min_range": self.preset.min_range, "max_range": self.preset.max_range}
        if len(messages) == 1:
            frame = decode_point_cloud(messages[0], **limits)
        else:
            info, depth_info = moment.infos
            frame = depth_frame(
                *messages,
                info,
                depth_info=depth_info,
                depth_to_color=moment.depth_to_color,
                rectified="rect" in moment.topic.rpartition("/")[2],
                **limits,
            )
        place = moment.place
        return frame.transformed(place.rotation, place.translation - corner, self.map_frame)

    @cached_property
    def unusable(self) -> Mapping[Moment, str]:
        """The moments whose frame cannot be decoded, and why; every one is read to find out.

        A warning counts them.
        """
        found = {}
        for moment in self.moments:
            try:
                self.read(moment, np.zeros(3))
            except (InputError, BagError) as error:
                found[moment] = str(error)
        if found:
            moment, why = next(iter(found.items()))
            log.warning(
                "%s: %d of %d frames cannot be used and are left out; the first, of %s at %.3f s:"
                " %s",
                self.path,
                len(found),
                len(self.moments),
                moment.topic,
                moment.stamp / 1e9,
                why,
            )
        return found

    def _placed(
        self, bag: Bag, inputs: BagInputs, tree: TransformTree, every: int
    ) -> tuple[Moment, ...]:
        moments, newest, lost = [], {}, 0
        for topic, stamp, frames, messages, infos in _found(bag, inputs):
            if stamp < newest.get(topic, stamp - every) + every:
                continue
            depth_to_color = None
            try:
                place = tree.lookup(self.map_frame, frames[-1], stamp)
                if len(frames) == 2 and frames[0] != frames[1]:
                    depth_to_color = tree.lookup(frames[0], frames[1], stamp)
            except TransformUnavailable as error:
                lost += 1
                self.unplaced = (lost, str(error))
                continue
            newest[topic] = stamp
            moments.append(Moment(topic, stamp, messages, infos, place, depth_to_color))
        return tuple(sorted(moments, key=lambda moment: (moment.stamp, moment.topic)))


def _transforms(bag: Bag) -> TransformTree:
    """Every transform of the bag that makes sense."""
    tree = TransformTree(cache_seconds=WHOLE_RECORDING)
    topics = [name for name, topic in bag.topics.items() if topic.type == TRANSFORMS]
    for topic, kind, _, raw in bag.messages(topics) if topics else ():
        for transform in bag.deserialize(raw, kind).transforms:
            try:
                tree.insert(transform, static=topic.endswith("tf_static"))
            except ValueError:  # as the node does: one bad transform is no reason to stop
                continue
    return tree


def _found(bag: Bag, inputs: BagInputs) -> Iterator[tuple[str, int, tuple, tuple, tuple]]:
    """(topic, stamp, frames, messages, infos) of every cloud and every pair, in order of time.

    Images are told by their headers alone, which are the first bytes of their messages.
    """
    cameras = {camera: StampPairer(PAIR_TOLERANCE) for camera in inputs.cameras}
    depth_infos: dict[CameraTopics, Any] = {}
    topics = {*inputs.clouds, *(t for camera in cameras for t in camera if t is not None)}
    for topic, kind, time, raw in bag.messages(topics):
        if topic in inputs.clouds:
            header = _header(raw)
            stamp = _nanoseconds(header)
            yield topic, stamp, (header.frame_id,), ((topic, time),), (None, None)
        message = None
        for camera, pairer in cameras.items():
            if topic == camera.depth_info:
                depth_infos[camera] = message = message or bag.deserialize(raw, kind)
            kinds = {camera.color: "color", camera.depth: "depth", camera.info: "info"}
            if topic not in kinds:
                continue
            if kind == CAMERA_INFO:
                message = message or bag.deserialize(raw, kind)
            else:
                message = SimpleNamespace(header=_header(raw), time=time)
            try:
                pair = pairer.add(kinds[topic], message)
            except InputError:  # a stamp that is none
                continue
            if pair is None or (camera.depth_info and camera not in depth_infos):
                continue
            color, depth = pair.color, pair.depth
            frames = (color.header.frame_id, depth.header.frame_id)
            messages = ((camera.color, color.time), (camera.depth, depth.time))
            infos = (pair.info, depth_infos.get(camera))
            yield camera.depth, _nanoseconds(depth.header), frames, messages, infos


def _header(raw: bytes) -> SimpleNamespace:
    """The std_msgs/Header that begins a message: four bytes of CDR, then stamp and frame."""
    order = "little" if raw[:2].endswith(b"\1") else "big"
    second, nanosecond, length = (
        int.from_bytes(raw[at : at + 4], order, signed=at == 4) for at in (4, 8, 12)
    )
    frame = raw[16 : 16 + max(length - 1, 0)].decode("utf-8", "replace")
    stamp = SimpleNamespace(sec=second, nanosec=nanosecond)
    return SimpleNamespace(stamp=stamp, frame_id=frame)


def _nanoseconds(header: SimpleNamespace) -> int:
    return join_stamp(header.stamp.sec, header.stamp.nanosec)


def _message(bag: Bag, topic: str, time: int) -> Any:
    """The message of a topic that was logged at ``time``."""
    _, kind, _, raw = next(bag.messages([topic], start_ns=time, stop_ns=time + 1))
    return bag.deserialize(raw, kind)

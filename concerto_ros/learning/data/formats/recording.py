# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Single frames of a recording: listed in one pass without decoding, read one by one later."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np

from concerto_ros.bags.reader import Bag, BagError, open_bag
from concerto_ros.bags.topic_discovery import find_inputs
from concerto_ros.bags.transforms import fill_tree
from concerto_ros.intake.inputs import Input, Pending
from concerto_ros.intake.opening import open_input
from concerto_ros.intake.placing import Lookup
from concerto_ros.intake.tally import NoTally
from concerto_ros.sensors.frame import Frame
from concerto_ros.sensors.input_error import InputError
from concerto_ros.sensors.message_fields import stamp_ns
from concerto_ros.sensors.transform_tree import Transform, TransformTree, TransformUnavailable
from concerto_ros.settings.inputs import InputSettings
from concerto_ros.settings.presets import Preset
from concerto_ros.settings.settings import Settings

#: Seconds of transforms to keep in the TF buffer: those of the whole recording.
WHOLE_RECORDING = 1e9

#: Of a cloud with more points only the nearest are used; far above the node's own limit.
MAX_POINTS = 4_000_000

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Moment:
    """Where to find one frame in the recording, and how to decode and place it.

    Attributes:
        input: Settings of the input it belongs to.
        topic: Topic of the cloud or the depth image.
        stamp: Sensor time, nanoseconds.
        messages: (kind, topic, log time in nanoseconds) of the cloud, or of colour and depth.
        held: (kind, message) of the camera_info messages that were valid at that time.
        map_from_sensor: Transform from the sensor's frame to the map's.
        depth_to_color: Transform from the depth to the colour camera; None if depth is registered
            to colour.
        color_stamp: Stamp of the colour image, nanoseconds; None without one.
    """

    input: InputSettings
    topic: str
    stamp: int
    messages: tuple[tuple[str, str, int], ...]
    held: tuple[tuple[str, Any], ...]
    map_from_sensor: Transform
    depth_to_color: Transform | None
    color_stamp: int | None = None


class Recording:
    """The frames of a bag that TF can place in the map's frame.

    Args:
        path: The bag.
        map_frame: Frame of the map; None: the root of the TF tree above the sensors.
        every: Seconds between frames of one input.
        preset: Range limits of the sensor.
        intensity_white: See the parameter of this name.

    Attributes:
        map_frame: Frame of the map.
        moments: The frames, by stamp.
        unplaced: How many frames TF cannot place, and why (the last one).
    """

    def __init__(
        self,
        path: Path,
        map_frame: str | None,
        every: float,
        preset: Preset,
        intensity_white: float = 0.0,
    ):
        self.path = path
        self.preset = preset
        self.unplaced: tuple[int, str] = (0, "")
        with open_bag(path) as bag:
            plan = find_inputs(bag)
            self.map_frame = map_frame or plan.fixed_frame
            self._settings = Settings(
                fixed_frame=self.map_frame,
                min_range=preset.min_range,
                max_range=preset.max_range,
                max_points=MAX_POINTS,
                intensity_white=intensity_white,
                voxel_size=0.0,  # every pixel of a depth image is a point
            )
            tree = TransformTree(cache_seconds=WHOLE_RECORDING)
            fill_tree(tree, bag)
            self.moments = self._placed(bag, plan.inputs, tree, round(every * 1e9))

    def read(self, moment: Moment, corner: np.ndarray) -> Frame:
        """Read and decode a frame and transform it to the map's frame.

        Args:
            moment: One of :attr:`moments`.
            corner: (3,) point of the map's frame that becomes the origin; one near the sensor
                keeps the millimetres of georeferenced coordinates in float32.

        Raises:
            InputError: The message cannot be decoded.
            BagError: The bag cannot be read.
        """
        source, pending = self.taken(moment)
        frame = source.decode(pending, self._settings, _FixedTransform(moment.depth_to_color))
        transform = moment.map_from_sensor
        return frame.transformed(
            transform.rotation, transform.translation - corner, self.map_frame
        )

    def taken(self, moment: Moment) -> tuple[Input, Pending]:
        """Read the messages of a frame, without decoding it.

        Returns:
            The input that decodes it, and the message; of an RGB-D camera a
            :class:`~concerto_ros.sensors.pairing.Pair`.

        Raises:
            BagError: The bag cannot be read.
        """
        source = open_input(moment.input, self._settings)
        for kind, message in moment.held:
            source.hold(kind, message)
        with open_bag(self.path) as bag:
            for kind, topic, time in moment.messages:
                source.receive(kind, _message(bag, topic, time), NoTally())
        pending = source.take()
        if pending is None:
            raise BagError(
                f"{self.path}: no frame on {moment.topic} at {moment.stamp / 1e9:.3f} s"
            )
        return source, pending

    @cached_property
    def unusable(self) -> Mapping[Moment, str]:
        """The frames that cannot be decoded, and why.

        Reads all frames to find them, and logs their number as a warning.
        """
        unusable = {}
        for moment in self.moments:
            try:
                self.read(moment, np.zeros(3))
            except (InputError, BagError) as error:
                unusable[moment] = str(error)
        if unusable:
            moment, why = next(iter(unusable.items()))
            log.warning(
                "%s: %d of %d frames cannot be used and are left out; the first, %s at %.3f s: %s",
                self.path,
                len(unusable),
                len(self.moments),
                moment.topic,
                moment.stamp / 1e9,
                why,
            )
        return unusable

    def _placed(
        self, bag: Bag, inputs: Iterable[InputSettings], tree: TransformTree, every: int
    ) -> tuple[Moment, ...]:
        """The frames that can be placed, at least ``every`` nanoseconds apart per topic."""
        moments: list[Moment] = []
        newest: dict[str, int] = {}
        unplaced = 0
        sources = [open_input(config, self._settings) for config in inputs]
        for source, parts in _headers(bag, sources):
            *other, (_, main) = parts  # of a pair, depth comes last: its stamp is the frame's
            stamp, frame = stamp_ns(main), main.header.frame_id
            if stamp < newest.get(main.topic, stamp - every) + every:
                continue
            depth_to_color = None
            try:
                transform = tree.lookup(self.map_frame, frame, stamp)
                for _, color in other:
                    if color.header.frame_id != frame:
                        depth_to_color = tree.lookup(color.header.frame_id, frame, stamp)
            except TransformUnavailable as error:
                unplaced += 1
                self.unplaced = (unplaced, str(error))
                continue
            newest[main.topic] = stamp
            messages = tuple((kind, part.topic, part.time) for kind, part in parts)
            held = tuple(source.held.items())
            color_stamp = next((stamp_ns(color) for _, color in other), None)
            moments.append(
                Moment(
                    *(source.config, main.topic, stamp, messages, held),
                    *(transform, depth_to_color, color_stamp),
                )
            )
        return tuple(sorted(moments, key=lambda moment: (moment.stamp, moment.topic)))


class _FixedTransform(Lookup):
    """The transform from depth to colour camera, the only one that decoding looks up."""

    def __init__(self, transform: Transform | None):
        self._transform = transform

    def lookup(self, target: str, source: str, stamp: int) -> Transform:
        if self._transform is None:
            return super().lookup(target, source, stamp)
        return self._transform

    def _find(self, target: str, source: str, stamp: int) -> Transform:
        raise TransformUnavailable(f"no transform from {source} to {target}", retry=False)


def _headers(
    bag: Bag, sources: Collection[Input]
) -> Iterator[tuple[Input, list[tuple[str, SimpleNamespace]]]]:
    """For every cloud and every pair, in order of time: its input and (kind, header) of its parts.

    Clouds and images are not decoded: their headers are the first bytes of the messages.
    """
    routes = defaultdict(list)
    for source in sources:
        for topic, kind, _ in source.topics:
            routes[topic].append((source, kind))
    for topic, message_type, time, raw in bag.messages(set(routes)):
        for source, kind in routes[topic]:
            if kind in source.held:
                message = bag.deserialize(raw, message_type)
            else:
                message = SimpleNamespace(header=_header(raw), topic=topic, time=time)
            source.receive(kind, message, NoTally())
            pending = source.take()
            if pending is not None and None not in source.held.values():
                yield source, list(source.parts(pending.message).items())


def _header(raw: bytes) -> SimpleNamespace:
    """The std_msgs/Header at the start of a message: four bytes of CDR, then stamp and frame."""
    order: Literal["little", "big"] = "little" if raw[:2].endswith(b"\1") else "big"
    second, nanosecond, length = (
        int.from_bytes(raw[at : at + 4], order, signed=at == 4) for at in (4, 8, 12)
    )
    frame = raw[16 : 16 + max(length - 1, 0)].decode("utf-8", "replace")
    stamp = SimpleNamespace(sec=second, nanosec=nanosecond)
    return SimpleNamespace(stamp=stamp, frame_id=frame)


def _message(bag: Bag, topic: str, time: int) -> Any:
    """The message of a topic that was logged at ``time``."""
    _, kind, _, raw = next(bag.messages([topic], start_ns=time, stop_ns=time + 1))
    return bag.deserialize(raw, kind)

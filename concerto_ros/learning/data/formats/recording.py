# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The single frames of a recording: found by one pass without decoding, read when asked for."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from concerto_ros.bags.reader import Bag, BagError, open_bag
from concerto_ros.bags.topic_discovery import find_inputs
from concerto_ros.bags.transforms import fill_tree
from concerto_ros.intake.inputs import Input, open_input
from concerto_ros.intake.placing import Lookup
from concerto_ros.intake.tally import NoTally
from concerto_ros.sensors.frame import Frame
from concerto_ros.sensors.input_error import InputError
from concerto_ros.sensors.message_fields import stamp_ns
from concerto_ros.sensors.transform_tree import Transform, TransformTree, TransformUnavailable
from concerto_ros.settings.inputs import InputSettings
from concerto_ros.settings.presets import Preset
from concerto_ros.settings.settings import Settings

#: Seconds of transforms that are kept: all of them, however long the recording.
WHOLE_RECORDING = 1e9

#: Of a cloud with more points the nearest are used: more than a robot has the time for.
MAX_POINTS = 4_000_000

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Moment:
    """One frame that can be read.

    Attributes
    ----------
    input: what it is decoded by.
    topic: of the cloud or the depth image.
    stamp: nanoseconds, of the sensor.
    messages: kind, topic and log time in nanoseconds of the cloud, or of colour and depth image.
    held: kind and message of what held then: camera_info.
    place: from the sensor's frame into the map's.
    depth_to_color: where depth is not registered to colour.
    """

    input: InputSettings
    topic: str
    stamp: int
    messages: tuple[tuple[str, str, int], ...]
    held: tuple[tuple[str, Any], ...]
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
            found = find_inputs(bag)
            self.map_frame = map_frame or found.fixed_frame
            self._settings = Settings(
                fixed_frame=self.map_frame,
                min_range=preset.min_range,
                max_range=preset.max_range,
                max_points=MAX_POINTS,
            )
            tree = TransformTree(cache_seconds=WHOLE_RECORDING)
            fill_tree(tree, bag)
            self.moments = self._placed(bag, found.inputs, tree, round(every * 1e9))

    def read(self, moment: Moment, corner: np.ndarray) -> Frame:
        """The frame along the axes of the map's frame, relative to ``corner`` (3,) in it.

        A corner near the sensor keeps the millimetres of a georeferenced frame. Raises InputError
        or BagError where the frame cannot be decoded.
        """
        source = open_input(moment.input, self._settings)
        for kind, message in moment.held:
            source.hold(kind, message)
        with open_bag(self.path) as bag:
            for kind, topic, time in moment.messages:
                source.receive(kind, _message(bag, topic, time), NoTally())
        frame = source.decode(source.take(), self._settings, _Known(moment.depth_to_color))
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
        self, bag: Bag, inputs: Iterable[InputSettings], tree: TransformTree, every: int
    ) -> tuple[Moment, ...]:
        moments, newest, lost = [], {}, 0
        sources = [open_input(config, self._settings) for config in inputs]
        for source, parts in _found(bag, sources):
            *other, (_, main) = parts  # of a pair, depth comes last: it gives the frame its stamp
            stamp, frame = stamp_ns(main), main.header.frame_id
            if stamp < newest.get(main.topic, stamp - every) + every:
                continue
            depth_to_color = None
            try:
                place = tree.lookup(self.map_frame, frame, stamp)
                for _, color in other:
                    if color.header.frame_id != frame:
                        depth_to_color = tree.lookup(color.header.frame_id, frame, stamp)
            except TransformUnavailable as error:
                lost += 1
                self.unplaced = (lost, str(error))
                continue
            newest[main.topic] = stamp
            messages = tuple((kind, part.topic, part.time) for kind, part in parts)
            held = tuple(source.held.items())
            moments.append(
                Moment(source.config, main.topic, stamp, messages, held, place, depth_to_color)
            )
        return tuple(sorted(moments, key=lambda moment: (moment.stamp, moment.topic)))


class _Known(Lookup):
    """The one transform that decoding may ask for."""

    def __init__(self, transform: Transform | None):
        self._transform = transform

    def lookup(self, target: str, source: str, stamp: int) -> Transform | None:
        return self._transform

    _find = lookup


def _found(
    bag: Bag, sources: Collection[Input]
) -> Iterator[tuple[Input, list[tuple[str, SimpleNamespace]]]]:
    """Every cloud and every pair, in order of time: its input and (kind, header) of its messages.

    Images are told by their headers alone, which are the first bytes of their messages.
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
    """The std_msgs/Header that begins a message: four bytes of CDR, then stamp and frame."""
    order = "little" if raw[:2].endswith(b"\1") else "big"
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

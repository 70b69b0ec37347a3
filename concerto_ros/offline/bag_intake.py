# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The intake on a bag: messages by topic to their inputs, at log time instead of the clock's."""

from __future__ import annotations

from collections import defaultdict
from typing import Protocol

import numpy as np

from concerto_ros.bags.input_plan import InputPlan
from concerto_ros.bags.reader import Bag, BagError
from concerto_ros.bags.transforms import transform_topics
from concerto_ros.intake.inputs import Input, open_input
from concerto_ros.intake.intake import FrameMap, Intake
from concerto_ros.intake.pace import TurnPace
from concerto_ros.mapping.voxel_map import Insertion
from concerto_ros.offline.bag_transforms import BagTransforms
from concerto_ros.offline.counts import Counts
from concerto_ros.pipeline import SemanticPipeline
from concerto_ros.sensors.frame import Frame

#: Search back this far for a message that still holds, then twice as far, nanoseconds.
SEARCH_BACK = 1_000_000_000


class Reader(Protocol):
    """Whoever computes something from the map in a thread of its own."""

    def wait(self) -> None:
        """Wait until that is done."""


class BagIntake:
    """Takes the messages of a log, in its order, into the map of ``pipeline``.

    As in the node, at most ``input_rate`` messages of each input are taken in a second of log
    time, the newest of each turn, and a frame waits for its transform for ``transform_timeout``.
    Turns are counted from the beginning of the bag, so that they are the same wherever reading
    begins. The map is not cleared before its ``reader`` is done.
    """

    def __init__(
        self, bag: Bag, plan: InputPlan, pipeline: SemanticPipeline, reader: Reader | None = None
    ):
        self._bag = bag
        self._inputs = [open_input(config, plan.settings) for config in plan.inputs]
        self._transforms = BagTransforms()
        self._intake = Intake(
            self._inputs,
            pipeline if reader is None else _MapInUse(pipeline, reader),
            self._transforms,
            plan,
            TurnPace(plan.settings.input_rate, bag.start_ns),
            self.no_counts(),
        )
        self._time = bag.start_ns
        self._routes: dict[str, list[tuple[Input, str]]] = defaultdict(list)
        for source in self._inputs:
            for topic, kind, _ in source.topics:
                self._routes[topic].append((source, kind))
        self._tf = transform_topics(bag)
        self._static = [name for name, static in self._tf.items() if static]
        self._moving = [name for name, static in self._tf.items() if not static]

    @property
    def topics(self) -> list[str]:
        """What of the bag is listened to."""
        return [*self._routes, *self._static, *self._moving]

    def no_counts(self) -> Counts:
        """Counts of nothing, for these inputs."""
        return Counts.of(source.name for source in self._inputs)

    def count_in(self, counts: Counts) -> None:
        """Count in ``counts`` what becomes of the messages that come from now on."""
        self._intake.tally = counts

    def catch_up(self, start_ns: int) -> None:
        """Take what was said before ``start_ns`` and still holds: TF and camera_info."""
        bag = self._bag
        for topic, kind, time, raw in bag.messages(self._static, stop_ns=start_ns):
            self.take(topic, kind, time, raw)
        for topic in dict.fromkeys(name for source in self._inputs for name in source.latched):
            if newest := _newest_before(bag, topic, start_ns):
                self.take(topic, bag.topics[topic].type, *newest)
        # Twice what is kept: the frames to come look up to as far back as that.
        since = start_ns - int(2e9 * BagTransforms.CACHE_SECONDS)
        for topic, kind, time, raw in bag.messages(
            self._moving, start_ns=max(since, bag.start_ns), stop_ns=start_ns
        ):
            self.take(topic, kind, time, raw)

    def take(self, topic: str, kind: str, time: int, raw: bytes) -> bool:
        """Take a message logged at ``time``; whether a frame went into the map."""
        self._counts.seen += 1
        self._time = time
        try:
            message = self._bag.deserialize(raw, kind)
        except BagError as error:
            self._count_unreadable(topic, str(error))
        else:
            if topic in self._tf:
                refused = self._transforms.insert(message, static=self._tf[topic])
                self._counts.refused_transforms += refused
            for source, part in self._routes.get(topic, ()):
                source.receive(part, message, self._counts)
        return sum(self._intake.advance(source, time) for source in self._inputs) > 0

    def is_undecided(self, counts: Counts) -> bool:
        """Whether a message that is counted in ``counts`` is still on its way."""
        return any(
            pending.tally is counts for source in self._inputs for pending in source.undecided
        )

    def finish(self) -> bool:
        """Nothing comes any more: whether yet a frame went into the map."""
        used = [self._intake.advance(source, self._time, last=True) for source in self._inputs]
        for source in self._inputs:
            source.end(self._counts)
        return sum(used) > 0

    @property
    def _counts(self) -> Counts:
        return self._intake.tally

    def _count_unreadable(self, topic: str, text: str) -> None:
        if topic in self._tf:
            self._counts.refused_transforms += 1
        for source, _ in self._routes.get(topic, ()):
            self._counts.received(source.name)
            self._counts.dropped(source.name, "malformed", text)


class _MapInUse:
    """A map that is cleared only once what was read from it is done."""

    def __init__(self, frames: FrameMap, reader: Reader):
        self._map, self._reader = frames, reader

    def insert(self, frame: Frame, robot: np.ndarray) -> Insertion:
        return self._map.insert(frame, robot)

    def clear(self) -> None:
        self._reader.wait()
        self._map.clear()


def _newest_before(bag: Bag, topic: str, stop_ns: int) -> tuple[int, bytes] | None:
    """(log time, message) of the last message of ``topic`` before ``stop_ns``."""
    back = SEARCH_BACK
    while True:
        start = max(stop_ns - back, bag.start_ns)
        newest = None
        for _, _, time, raw in bag.messages([topic], start_ns=start, stop_ns=stop_ns):
            newest = (time, raw)
        if newest is not None or start == bag.start_ns:
            return newest
        back *= 2

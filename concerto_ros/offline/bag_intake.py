# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The intake of a bag: routes messages by topic to their inputs, at log time."""

from __future__ import annotations

from collections import defaultdict
from typing import Protocol

import numpy as np

from concerto_ros.bags.input_plan import InputPlan
from concerto_ros.bags.reader import Bag, BagError
from concerto_ros.bags.transforms import transform_topics
from concerto_ros.intake.inputs import Input
from concerto_ros.intake.intake import FrameMap, Intake
from concerto_ros.intake.opening import open_input
from concerto_ros.intake.pace import TurnPace
from concerto_ros.mapping.voxel_map import Insertion
from concerto_ros.offline.bag_transforms import BagTransforms
from concerto_ros.offline.counts import Counts
from concerto_ros.pipeline import SemanticPipeline
from concerto_ros.sensors.frame import Frame

#: Nanoseconds to search back for the newest camera_info; then twice as far, and so on.
SEARCH_BACK = 1_000_000_000


class Reader(Protocol):
    """A thread that computes something from the map."""

    def wait(self) -> object:
        """Wait until the thread is done; what this returns does not matter."""


class BagIntake:
    """Fuses the messages of a bag, in the order of the log, into the map of a pipeline.

    As in the node, at most ``input_rate`` messages of each input are taken per second of log time,
    and a frame waits for its transform for ``transform_timeout``. The intervals start at the
    beginning of the bag, so that they are the same wherever reading begins.
    """

    def __init__(
        self, bag: Bag, plan: InputPlan, pipeline: SemanticPipeline, reader: Reader | None = None
    ):
        """Start before the first message.

        Args:
            bag: The bag.
            plan: Its inputs and settings.
            pipeline: Holds the map.
            reader: A thread that reads the map: the map is not cleared before it is done.
        """
        self._bag = bag
        self._inputs = [open_input(config, plan.settings) for config in plan.inputs]
        self._transforms = BagTransforms()
        self._counts = self.no_counts()
        self._intake = Intake(
            self._inputs,
            pipeline if reader is None else _MapInUse(pipeline, reader),
            self._transforms,
            plan,
            TurnPace(plan.settings.input_rate, bag.start_ns),
            self._counts,
        )
        self._time = bag.start_ns
        self._routes: dict[str, list[tuple[Input, str]]] = defaultdict(list)
        for source in self._inputs:
            for topic, role, _ in source.topics:
                self._routes[topic].append((source, role))
        self._tf = transform_topics(bag)
        self._static = [name for name, static in self._tf.items() if static]
        self._moving = [name for name, static in self._tf.items() if not static]

    @property
    def topics(self) -> list[str]:
        """The topics of the inputs and transforms."""
        return [*self._routes, *self._static, *self._moving]

    def no_counts(self) -> Counts:
        """Return counts of zero for these inputs."""
        return Counts.of(source.name for source in self._inputs)

    def count_in(self, counts: Counts) -> None:
        """Count the messages that are taken from now on in ``counts``."""
        self._counts = self._intake.tally = counts

    def catch_up(self, start_ns: int) -> None:
        """Take the TF and camera_info before ``start_ns`` that are still valid then."""
        bag = self._bag
        for topic, message_type, time, raw in bag.messages(self._static, stop_ns=start_ns):
            self.take(topic, message_type, time, raw)
        for topic in dict.fromkeys(name for source in self._inputs for name in source.latched):
            if newest := _newest_before(bag, topic, start_ns):
                self.take(topic, bag.topics[topic].type, *newest)
        # Twice the cache, as the following frames may look up transforms that far back.
        oldest = start_ns - int(2e9 * BagTransforms.CACHE_SECONDS)
        for topic, message_type, time, raw in bag.messages(
            self._moving, start_ns=max(oldest, bag.start_ns), stop_ns=start_ns
        ):
            self.take(topic, message_type, time, raw)

    def take(self, topic: str, message_type: str, time: int, raw: bytes) -> bool:
        """Process a message.

        Args:
            topic: Its topic.
            message_type: Such as ``sensor_msgs/msg/PointCloud2``.
            time: Log time, nanoseconds.
            raw: CDR bytes.

        Returns:
            Whether a frame was fused.
        """
        self._counts.seen += 1
        self._time = time
        try:
            message = self._bag.deserialize(raw, message_type)
        except BagError as error:
            self._count_unreadable(topic, str(error))
        else:
            if topic in self._tf:
                refused = self._transforms.insert(message, static=self._tf[topic])
                self._counts.refused_transforms += refused
            for source, role in self._routes.get(topic, ()):
                source.receive(role, message, self._counts)
        return sum(self._intake.advance(source, time) for source in self._inputs) > 0

    def is_undecided(self, counts: Counts) -> bool:
        """Return whether a message of ``counts`` is neither fused nor dropped yet."""
        return any(
            pending.tally is counts for source in self._inputs for pending in source.undecided
        )

    def finish(self) -> bool:
        """Process the messages that still wait at the end; return whether a frame was fused."""
        fused = [self._intake.advance(source, self._time, last=True) for source in self._inputs]
        for source in self._inputs:
            source.end(self._counts)
        return sum(fused) > 0

    def _count_unreadable(self, topic: str, text: str) -> None:
        if topic in self._tf:
            self._counts.refused_transforms += 1
        for source, _ in self._routes.get(topic, ()):
            self._counts.received(source.name)
            self._counts.dropped(source.name, "malformed", text)


class _MapInUse:
    """A map that is cleared only when the thread that reads it is done."""

    def __init__(self, frames: FrameMap, reader: Reader):
        self._map, self._reader = frames, reader

    @property
    def voxel_size(self) -> float:
        return self._map.voxel_size

    def insert(self, frame: Frame, robot: np.ndarray) -> Insertion:
        return self._map.insert(frame, robot)

    def clear(self) -> None:
        self._reader.wait()
        self._map.clear()


def _newest_before(bag: Bag, topic: str, stop_ns: int) -> tuple[int, bytes] | None:
    """Return (log time, CDR bytes) of the last message of ``topic`` before ``stop_ns``."""
    back = SEARCH_BACK
    while True:
        start = max(stop_ns - back, bag.start_ns)
        newest = None
        for _, _, time, raw in bag.messages([topic], start_ns=start, stop_ns=stop_ns):
            newest = (time, raw)
        if newest is not None or start == bag.start_ns:
            return newest
        back *= 2

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The inputs of a bag: topics, the message that waits, and how it becomes a frame."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from concerto_ros.bags.input_plan import Plan
from concerto_ros.intake.decoding import decode_cloud, decode_pair, is_rectified
from concerto_ros.intake.placing import IDENTITY, Lookup, is_identity
from concerto_ros.intake.stamp_order import StampGate
from concerto_ros.offline.counts import Counts
from concerto_ros.sensors.frame import Frame
from concerto_ros.sensors.pairing import StampPairer
from concerto_ros.sensors.transform_tree import Transform, TransformTree
from concerto_ros.settings.inputs import CameraInput, CloudInput
from concerto_ros.settings.settings import Settings
from concerto_ros.stopwatch import Stopwatch


@dataclass
class Pending:
    """A message on its way into the map, which came at log time ``arrived``, nanoseconds.

    ``counts`` is where its fate is counted; ``frame`` is there once it is decoded.
    """

    message: Any
    arrived: int
    counts: Counts
    frame: Frame | None = None
    watch: Stopwatch = field(default_factory=Stopwatch)


class Input(ABC):
    """One input: a mailbox of one, and the frames that wait for their transform.

    ``topics`` are (topic, what its messages are to the input). ``turn`` is the last one at which
    a message was taken out of the mailbox; ``latched`` are topics whose last message holds until
    the next.
    """

    topics: list[tuple[str, str]]
    latched: tuple[str, ...] = ()

    def __init__(self, name: str, settings: Settings):
        self.name = name
        self.gate = StampGate(int(settings.window_seconds * 1e9))
        self.mailbox: Pending | None = None
        self.waiting: deque[Pending] = deque()
        self.turn: int | None = None

    @abstractmethod
    def receive(self, kind: str, message: Any, time: int, counts: Counts) -> None:
        """Take a message of the log into the mailbox. Raises ``InputError``."""

    @abstractmethod
    def decode(self, pending: Pending, settings: Settings, transforms: Lookup) -> Frame:
        """The frame of a message, in the sensor's own frame.

        Raises ``InputError``, or ``TransformUnavailable`` where decoding itself needs a transform.
        """

    def unpaired(self) -> int:
        """Images that wait for a partner."""
        return 0

    def clear(self) -> list[Pending]:
        """Forget every message and stamp; the messages. What is sent only once stays."""
        lost = [*self.waiting, *([self.mailbox] if self.mailbox else [])]
        self.waiting.clear()
        self.mailbox = None
        self.gate.reset()
        return lost

    def _put(self, message: Any, time: int, counts: Counts) -> None:
        counts.received(self.name)
        if self.mailbox is not None:
            self.mailbox.counts.dropped(self.name, "superseded")
        self.mailbox = Pending(message, time, counts)


class Cloud(Input):
    """A PointCloud2 topic."""

    def __init__(self, about: CloudInput, settings: Settings):
        super().__init__(about.name, settings)
        self._about = about
        self.topics = [(about.topic, "cloud")]

    def receive(self, kind: str, message: Any, time: int, counts: Counts) -> None:
        self._put(message, time, counts)

    def decode(self, pending: Pending, settings: Settings, transforms: Lookup) -> Frame:
        return decode_cloud(pending.message, self._about, settings, pending.watch)


class Camera(Input):
    """Colour, depth and camera_info topics, paired by stamp."""

    def __init__(self, about: CameraInput, settings: Settings):
        super().__init__(about.name, settings)
        self._about = about
        kinds = ("color", "depth", "info", "depth_info")
        topics = [(getattr(about, f"{kind}_topic"), kind) for kind in kinds]
        self.topics = [(topic, kind) for topic, kind in topics if topic]
        self.latched = tuple(topic for topic, kind in self.topics if "info" in kind)
        self._pairer = StampPairer(
            tolerance=int(settings.sync_tolerance * 1e9), with_color=bool(about.color_topic)
        )
        self._images_of_a_pair = 2 if about.color_topic else 1
        self._alone = 0
        self._depth_info: Any = None
        self._rectified = is_rectified(about.depth_topic)

    def receive(self, kind: str, message: Any, time: int, counts: Counts) -> None:
        if kind == "depth_info":
            self._depth_info = message
            return
        before = self._pairer.dropped
        pair = self._pairer.add(kind, message)
        lost = self._pairer.dropped - before
        self._alone += (kind != "info") - lost
        if lost:
            counts.received(self.name, lost)
            counts.dropped(self.name, "unpaired", count=lost)
        if pair is not None:
            self._alone -= self._images_of_a_pair
            self._put(pair, time, counts)

    def decode(self, pending: Pending, settings: Settings, transforms: Lookup) -> Frame:
        return decode_pair(
            pending.message,
            self._about,
            settings,
            pending.watch,
            depth_info=self._depth_info,
            rectified=self._rectified,
            transforms=transforms,
        )

    def unpaired(self) -> int:
        return self._alone

    def clear(self) -> list[Pending]:
        self._pairer.clear()
        self._alone = 0
        return super().clear()


class Transforms:
    """The transforms of the log so far."""

    #: As long as tf2 keeps them, seconds.
    CACHE_SECONDS = 10.0

    def __init__(self) -> None:
        self._tree = TransformTree(cache_seconds=self.CACHE_SECONDS)

    def insert(self, message: Any, *, static: bool) -> int:
        """Take a TFMessage; how many of its transforms make no sense."""
        refused = 0
        for transform in message.transforms:
            try:
                self._tree.insert(transform, static=static)
            except ValueError:
                refused += 1
        return refused

    def lookup(self, target: str, source: str, stamp: int) -> Transform:
        """See :class:`~concerto_ros.intake.placing.Lookup`."""
        if is_identity(target, source, stamp):
            return IDENTITY
        return self._tree.lookup(target, source, stamp)

    def clear(self) -> None:
        """Forget every moving transform."""
        self._tree.clear()


def open_inputs(plan: Plan) -> list[Input]:
    """The inputs of ``plan``, nothing received yet."""
    return [
        *(Cloud(about, plan.settings) for about in plan.clouds),
        *(Camera(about, plan.settings) for about in plan.cameras),
    ]

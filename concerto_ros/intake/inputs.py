# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The inputs: what becomes of messages until they are a frame in the sensor's own coordinates.

Messages are any objects with the attributes of their type, rclpy's or those of a bag. A new type
of message needs a class here and a row in :data:`INPUTS`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from concerto_ros.intake.placing import Lookup
from concerto_ros.intake.stamp_order import StampGate
from concerto_ros.intake.tally import Tally
from concerto_ros.sensors.camera_model import CameraCache
from concerto_ros.sensors.depth_frame import depth_frame
from concerto_ros.sensors.frame import Frame
from concerto_ros.sensors.input_error import InputError
from concerto_ros.sensors.message_fields import stamp_ns
from concerto_ros.sensors.pairing import Pair, StampPairer
from concerto_ros.sensors.point_cloud2 import decode_point_cloud
from concerto_ros.settings.inputs import CameraInput, CloudInput, InputSettings
from concerto_ros.settings.settings import Settings
from concerto_ros.stopwatch import Stopwatch

#: Makes what is entered while the messages of an input are handed over.
Guard = Callable[[], AbstractContextManager]


@dataclass
class Pending:
    """A message on its way into the map.

    ``tally`` is where its fate is counted, ``deadline`` until when it may wait for its transform,
    nanoseconds; ``frame`` is there once it is decoded.
    """

    message: Any
    tally: Tally
    deadline: int = 0
    frame: Frame | None = None
    watch: Stopwatch = field(default_factory=Stopwatch)


class InputTopic(NamedTuple):
    """A topic of an input: ``kind`` tells :meth:`Input.receive` what its messages are to it."""

    name: str
    kind: str
    message_type: str


class Input(ABC):
    """One input: a mailbox of one, and the messages that were taken out of it.

    ``held`` has by kind the newest message of those that hold until the next, None before the
    first. Messages may be received by another thread than that which takes them, with a ``guard``
    that is a lock.
    """

    topics: tuple[InputTopic, ...]

    def __init__(self, config: InputSettings, settings: Settings, guard: Guard = nullcontext):
        self.name = config.name
        self.config = config
        self.held: dict[str, Any] = {}
        self.gate = StampGate(int(settings.window_seconds * 1e9))
        self.waiting: deque[Pending] = deque()
        self._mailbox: Pending | None = None
        self._guard = guard()

    @property
    def latched(self) -> list[str]:
        """The topics whose newest message holds until the next."""
        return [topic.name for topic in self.topics if topic.kind in self.held]

    @property
    def undecided(self) -> list[Pending]:
        """The messages whose fate is open."""
        return [*self.waiting, *([self._mailbox] if self._mailbox else [])]

    @property
    def has_mail(self) -> bool:
        """Whether a message is there to be taken."""
        return self._mailbox is not None

    def receive(self, kind: str, message: Any, tally: Tally) -> None:
        """Count a message and keep it until it is taken or a newer one supersedes it."""
        with self._guard:
            try:
                complete = self._complete(kind, message, tally)
                stamp = 0 if complete is None else stamp_ns(complete)
            except InputError as error:
                tally.received(self.name)
                tally.dropped(self.name, error.reason, str(error))
                return
            if complete is None:
                return
            tally.received(self.name, stamp=stamp)
            superseded, self._mailbox = self._mailbox, Pending(complete, tally)
            if superseded is not None:
                superseded.tally.dropped(self.name, "superseded")

    def hold(self, kind: str, message: Any) -> None:
        """Keep a message that holds until the next, while no others are received."""
        with self._guard:
            self.held[kind] = message

    def take(self) -> Pending | None:
        """The message that waits in the mailbox."""
        with self._guard:
            pending, self._mailbox = self._mailbox, None
        return pending

    def restart(self, why: str, tally: Tally) -> None:
        """Drop every message, as time began again."""
        with self._guard:
            self._drop_alone("restart", why, tally)
            lost = self.undecided
            self._clear()
        for pending in lost:
            pending.tally.dropped(self.name, "restart", why)

    def end(self, tally: Tally) -> None:
        """Drop what waits for a partner: nothing comes any more."""
        with self._guard:
            self._drop_alone("unpaired", "", tally)

    def clear(self) -> None:
        """Forget every message and stamp. What is sent only once (camera_info) stays."""
        with self._guard:
            self._clear()

    @abstractmethod
    def decode(self, pending: Pending, settings: Settings, transforms: Lookup) -> Frame:
        """The frame of a message, in the sensor's own coordinates.

        Raises ``InputError``, or ``TransformUnavailable`` where decoding itself needs a transform.
        """

    def parts(self, message: Any) -> dict[str, Any]:
        """The single messages, by kind, of which a complete one is made."""
        return {self.topics[0].kind: message}

    def _complete(self, kind: str, message: Any, tally: Tally) -> Any | None:
        """The message to decode that is complete with this one, if any."""
        return message

    def _forget_alone(self) -> int:
        """Forget the messages that wait for a partner: how many."""
        return 0

    def _drop_alone(self, reason: str, text: str, tally: Tally) -> None:
        if alone := self._forget_alone():
            tally.received(self.name, alone)
            tally.dropped(self.name, reason, text, alone)

    def _clear(self) -> None:
        self._forget_alone()
        self.waiting.clear()
        self._mailbox = None
        self.gate.reset()


class PointCloudInput(Input):
    """A PointCloud2 topic."""

    config: CloudInput

    def __init__(self, config: CloudInput, settings: Settings, guard: Guard = nullcontext):
        super().__init__(config, settings, guard)
        self.topics = (InputTopic(config.topic, "cloud", "sensor_msgs/msg/PointCloud2"),)

    def decode(self, pending: Pending, settings: Settings, transforms: Lookup) -> Frame:
        with pending.watch("decode"):
            frame = decode_point_cloud(
                pending.message,
                source=self.name,
                min_range=settings.min_range,
                max_range=settings.max_range,
                max_points=settings.max_points,
                original=settings.labels.points == "input",
            )
        # Rays begin at the sensor, and these frames do not say where that is.
        elsewhere = {name.lstrip("/") for name in (settings.fixed_frame, settings.robot_frame)}
        if self.config.clears and frame.frame_id.lstrip("/") not in elsewhere:
            return frame
        return replace(frame, view=None)


class RgbdInput(Input):
    """Colour, depth and camera_info topics, paired by stamp."""

    config: CameraInput

    def __init__(self, config: CameraInput, settings: Settings, guard: Guard = nullcontext):
        super().__init__(config, settings, guard)
        kinds = ("depth", "info", "color", "depth_info")
        topics = ((getattr(config, f"{kind}_topic"), kind) for kind in kinds)
        self.topics = tuple(
            InputTopic(name, kind, _image_or_info(name, kind)) for name, kind in topics if name
        )
        self.held = {topic.kind: None for topic in self.topics if topic.kind.endswith("info")}
        self._pairer = StampPairer(
            tolerance=int(settings.sync_tolerance * 1e9), with_color=bool(config.color_topic)
        )
        # image_proc's convention for the topics of rectified images.
        self._rectified = "rect" in config.depth_topic.rpartition("/")[2]
        self._cameras = CameraCache()

    def hold(self, kind: str, message: Any) -> None:
        super().hold(kind, message)
        if kind == "info":
            self._pairer.info = message

    def decode(self, pending: Pending, settings: Settings, transforms: Lookup) -> Frame:
        pair, depth_info = pending.message, self.held.get("depth_info")
        depth_to_color = None
        if depth_info is not None and pair.color is not None:
            target, source = pair.color.header.frame_id, pair.depth.header.frame_id
            if source != target:
                depth_to_color = transforms.lookup(target, source, stamp_ns(pair.depth))
        frame = depth_frame(
            pair.color,
            pair.depth,
            pair.info,
            depth_info=depth_info,
            depth_to_color=depth_to_color,
            source=self.name,
            min_range=settings.min_range,
            max_range=settings.max_range,
            rectified=self._rectified,
            original=settings.labels.points == "input",
            cameras=self._cameras,
            watch=pending.watch,
        )
        return frame if self.config.clears else replace(frame, view=None)

    def parts(self, message: Pair) -> dict[str, Any]:
        color = {} if message.color is None else {"color": message.color}
        return {**color, "depth": message.depth}

    def _complete(self, kind: str, message: Any, tally: Tally) -> Pair | None:
        if kind in self.held:
            self.held[kind] = message
        if kind == "depth_info":
            return None
        before = self._pairer.dropped
        pair = self._pairer.add(kind, message)
        if lost := self._pairer.dropped - before:
            tally.received(self.name, lost)
            tally.dropped(self.name, "unpaired", count=lost)
        return pair

    def _forget_alone(self) -> int:
        alone = self._pairer.waiting
        self._pairer.clear()
        return alone


def _image_or_info(topic: str, kind: str) -> str:
    """The message type; image_transport's convention: the transport's name ends the topic."""
    if kind.endswith("info"):
        return "sensor_msgs/msg/CameraInfo"
    compressed = topic.endswith(("/compressed", "/compressedDepth"))
    return f"sensor_msgs/msg/{'CompressedImage' if compressed else 'Image'}"


#: What receives and decodes the messages of each kind of input.
INPUTS: dict[type[InputSettings], type[Input]] = {
    CloudInput: PointCloudInput,
    CameraInput: RgbdInput,
}


def open_input(config: InputSettings, settings: Settings, guard: Guard = nullcontext) -> Input:
    """The input of these parameters, nothing received yet."""
    return INPUTS[type(config)](config, settings, guard)

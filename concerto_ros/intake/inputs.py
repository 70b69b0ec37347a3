# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The inputs: from messages to a frame in the sensor's own coordinates.

Messages are any objects with the attributes of their type, those of rclpy or of a bag. A new type
of input needs a class here and a row in :mod:`~concerto_ros.intake.opening`.
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
from concerto_ros.sensors.frame import Frame
from concerto_ros.sensors.images.depth_frame import depth_frame
from concerto_ros.sensors.images.topics import is_compressed, is_rectified
from concerto_ros.sensors.input_error import InputError
from concerto_ros.sensors.intensity import with_intensity_shown
from concerto_ros.sensors.message_fields import stamp_ns
from concerto_ros.sensors.pairing import Pair, StampPairer
from concerto_ros.sensors.point_cloud2 import decode_point_cloud
from concerto_ros.settings.inputs import CameraInput, CloudInput, InputSettings
from concerto_ros.settings.settings import Settings
from concerto_ros.stopwatch import Stopwatch

#: Makes the context in which the messages of an input are accessed, e.g. a lock.
Guard = Callable[[], AbstractContextManager]


#: What the messages of each kind of topic are called.
ROLES = {
    "cloud": "cloud",
    "color": "colour image",
    "depth": "depth image",
    "info": "camera_info",
    "depth_info": "camera_info of the depth image",
}


@dataclass
class Pending:
    """A message that is not in the map yet.

    Attributes:
        message: The message; a :class:`~concerto_ros.sensors.pairing.Pair` for an RGB-D camera.
        tally: Where it is counted as fused or dropped.
        deadline: Nanoseconds until which it may wait for its transform.
        frame: The decoded frame; None before decoding.
        watch: Times the stages that the message passes.
    """

    message: Any
    tally: Tally
    deadline: int = 0
    frame: Frame | None = None
    watch: Stopwatch = field(default_factory=Stopwatch)


class InputTopic(NamedTuple):
    """A topic of an input.

    Attributes:
        name: Name of the topic.
        kind: Role of its messages, for :meth:`Input.receive`: cloud, color, depth, info or
            depth_info.
        message_type: Such as ``sensor_msgs/msg/PointCloud2``.
    """

    name: str
    kind: str
    message_type: str

    @property
    def role(self) -> str:
        """What its messages are called."""
        return ROLES[self.kind]

    @property
    def parameter(self) -> str:
        """The key of the parameter that names it."""
        return "topic" if self.kind == "cloud" else f"{self.kind}_topic"


class Input(ABC):
    """One input: a mailbox of one message, and the messages that were taken out of it.

    Messages may be received and taken by different threads if the ``guard`` is a lock.

    Attributes:
        topics: The topics it listens to.
        name: Name of the input in the parameters.
        config: The parameters of the input.
        held: By kind, the newest of the messages that stay valid until the next (camera_info);
            None before the first.
        gate: Admits frames in the order of stamps.
        waiting: Messages that were taken and wait for their transform.
    """

    topics: tuple[InputTopic, ...]

    def __init__(self, config: InputSettings, settings: Settings, guard: Guard = nullcontext):
        """Start without messages.

        Args:
            config: The parameters of the input.
            settings: All other parameters.
            guard: Makes the lock of the input.
        """
        self.name = config.name
        self.config = config
        self.held: dict[str, Any | None] = {}
        self.gate = StampGate(int(settings.window_seconds * 1e9))
        self.waiting: deque[Pending] = deque()
        self._mailbox: Pending | None = None
        self._guard = guard()

    @property
    def latched(self) -> list[str]:
        """The topics whose newest message stays valid until the next."""
        return [topic.name for topic in self.topics if topic.kind in self.held]

    @property
    def undecided(self) -> list[Pending]:
        """The messages that are neither fused nor dropped yet."""
        return [*self.waiting, *([self._mailbox] if self._mailbox else [])]

    @property
    def has_mail(self) -> bool:
        """Whether a message waits in the mailbox."""
        return self._mailbox is not None

    def receive(self, kind: str, message: Any, tally: Tally) -> None:
        """Count a message and keep it until it is taken or superseded by a newer one.

        Args:
            kind: Role of the message, the ``kind`` of its :class:`InputTopic`.
            message: The message.
            tally: Where it is counted.
        """
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
        """Keep a message that stays valid until the next, without counting it."""
        with self._guard:
            self.held[kind] = message

    def take(self) -> Pending | None:
        """Take the message out of the mailbox; None if it is empty."""
        with self._guard:
            pending, self._mailbox = self._mailbox, None
        return pending

    def restart(self, why: str, tally: Tally) -> None:
        """Drop every message because time went back; ``why`` is the reason to report."""
        with self._guard:
            self._drop_unpaired("restart", why, tally)
            dropped = self.undecided
            self._clear()
        for pending in dropped:
            pending.tally.dropped(self.name, "restart", why)

    def end(self, tally: Tally) -> None:
        """Drop the messages that wait for a partner, at the end of a log."""
        with self._guard:
            self._drop_unpaired("unpaired", "", tally)

    def clear(self) -> None:
        """Forget every message and stamp, except camera_info, which may be sent only once."""
        with self._guard:
            self._clear()

    @abstractmethod
    def decode(self, pending: Pending, settings: Settings, transforms: Lookup) -> Frame:
        """Decode a message to a frame in the sensor's own coordinates.

        Args:
            pending: The message; its ``watch`` times the stages.
            settings: The parameters in force.
            transforms: For depth that is reprojected into the colour image.

        Raises:
            InputError: The message cannot be used.
            TransformUnavailable: Decoding itself needs a transform that is not available.
        """

    def parts(self, message: Any) -> dict[str, Any]:
        """Return the single messages, by kind, of a complete one (an RGB-D pair has two)."""
        return {self.topics[0].kind: message}

    def _complete(self, kind: str, message: Any, tally: Tally) -> Any | None:
        """Return the message to decode that this one completes, if any."""
        return message

    def _forget_unpaired(self) -> int:
        """Forget the messages that wait for a partner; return their number."""
        return 0

    def _drop_unpaired(self, reason: str, text: str, tally: Tally) -> None:
        if count := self._forget_unpaired():
            tally.received(self.name, count)
            tally.dropped(self.name, reason, text, count)

    def _clear(self) -> None:
        self._forget_unpaired()
        self.waiting.clear()
        self._mailbox = None
        self.gate.reset()


class PointCloudInput(Input):
    """The input of a PointCloud2 topic."""

    config: CloudInput

    def __init__(self, config: CloudInput, settings: Settings, guard: Guard = nullcontext):
        super().__init__(config, settings, guard)
        self.topics = (InputTopic(config.topic, "cloud", "sensor_msgs/msg/PointCloud2"),)

    def decode(self, pending: Pending, settings: Settings, transforms: Lookup) -> Frame:
        """Implement :meth:`Input.decode`; only a cloud in its sensor's frame keeps its view."""
        with pending.watch("decode"):
            frame = decode_point_cloud(
                pending.message,
                source=self.name,
                min_range=settings.min_range,
                max_range=settings.max_range,
                no_reading=self.config.no_reading,
                max_points=settings.max_points,
                original=settings.labels.points == "input",
            )
        frame = with_intensity_shown(frame, settings.intensity_white)
        # Rays begin at the sensor, whose position is unknown in clouds of these frames.
        not_sensor = {name.lstrip("/") for name in (settings.fixed_frame, settings.robot_frame)}
        if self.config.clears and frame.frame_id.lstrip("/") not in not_sensor:
            return frame
        return replace(frame, view=None)


class RgbdInput(Input):
    """The input of an RGB-D camera: colour, depth and camera_info topics, paired by stamp."""

    config: CameraInput

    def __init__(self, config: CameraInput, settings: Settings, guard: Guard = nullcontext):
        super().__init__(config, settings, guard)
        kinds = ("depth", "info", "color", "depth_info")
        topics = ((getattr(config, f"{kind}_topic"), kind) for kind in kinds)
        self.topics = tuple(
            image_topic(name, kind)
            if not kind.endswith("info")
            else InputTopic(name, kind, "sensor_msgs/msg/CameraInfo")
            for name, kind in topics
            if name
        )
        self.held = {topic.kind: None for topic in self.topics if topic.kind.endswith("info")}
        self._tolerance = settings.sync_tolerance
        self._pairer = StampPairer(
            tolerance=int(settings.sync_tolerance * 1e9), with_color=bool(config.color_topic)
        )
        self._color_rectified = is_rectified(config.color_topic)
        self._depth_rectified = is_rectified(config.depth_topic)
        self._cameras = CameraCache()

    def hold(self, kind: str, message: Any) -> None:
        """Implement :meth:`Input.hold`; the pairer needs camera_info as well."""
        super().hold(kind, message)
        if kind == "info":
            self._pairer.info = message

    def decode(self, pending: Pending, settings: Settings, transforms: Lookup) -> Frame:
        """Implement :meth:`Input.decode`, reprojecting depth that is not registered to colour."""
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
            no_reading=self.config.no_reading,
            decimation=self.config.decimation,
            voxel_size=settings.voxel_size,
            color_rectified=self._color_rectified,
            depth_rectified=self._depth_rectified,
            original=settings.labels.points == "input",
            cameras=self._cameras,
            watch=pending.watch,
        )
        return frame if self.config.clears else replace(frame, view=None)

    def parts(self, message: Pair) -> dict[str, Any]:
        """Return the depth image of a pair and, if there is one, its colour image."""
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
            tally.dropped(self.name, "unpaired", self._why_unpaired(), lost)
        return pair

    def _why_unpaired(self) -> str:
        """Which topics sent nothing yet, or how far apart the stamps are."""
        missing = [topic for topic in self.topics if topic.kind in self._pairer.missing]
        if missing:
            return "; ".join(f"no {topic.role} on {topic.name} yet" for topic in missing)
        return (
            f"the nearest stamps on {self.config.color_topic} and {self.config.depth_topic} are"
            f" {self._pairer.apart * 1e-9:.3f} s apart, expected at most sync_tolerance,"
            f" {self._tolerance:g} s"
        )

    def _forget_unpaired(self) -> int:
        count = self._pairer.waiting
        self._pairer.clear()
        return count


def image_topic(topic: str, kind: str) -> InputTopic:
    """Return a topic of images, by image_transport's convention: it ends in its transport."""
    kind_of_image = "CompressedImage" if is_compressed(topic) else "Image"
    return InputTopic(topic, kind, f"sensor_msgs/msg/{kind_of_image}")

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The intake stage: one thread decodes, places and fuses the newest message of every input."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from rclpy.impl.rcutils_logger import RcutilsLogger

from concerto_ros.intake.original_points import Reading
from concerto_ros.intake.placing import check_used, is_identity, place
from concerto_ros.mapping.map_file import StoredMap
from concerto_ros.pipeline import SemanticPipeline
from concerto_ros.ros.inputs.subscriptions import Pending, Source
from concerto_ros.ros.inputs.transforms import Transforms
from concerto_ros.ros.monitoring.statistics import Statistics
from concerto_ros.ros.parameters import Parameters
from concerto_ros.ros.stages.stage import StageThread
from concerto_ros.sensors.frame import Frame
from concerto_ros.sensors.input_error import InputError
from concerto_ros.sensors.transform_tree import TransformUnavailable
from concerto_ros.settings.settings import Settings

#: How often a waiting frame asks for its transform again, seconds.
RETRY_PERIOD = 0.02

#: How long the thread sleeps at most, seconds.
IDLE_PERIOD = 1.0


class Intake(StageThread):
    """Takes at most ``input_rate`` messages a second of every input into the map."""

    def __init__(
        self,
        sources: Sequence[Source],
        pipeline: SemanticPipeline,
        transforms: Transforms,
        parameters: Parameters,
        statistics: Statistics,
        on_fused: Callable[[], None],
        logger: RcutilsLogger,
    ):
        super().__init__("intake")
        self._sources = sources
        self._pipeline = pipeline
        self._transforms = transforms
        self._parameters = parameters
        self._statistics = statistics
        self._on_fused = on_fused
        self._log = logger
        self._introduced: set[str] = set()
        self._clock_went_back = threading.Event()
        self._only_outdated_since: float | None = None
        #: The newest message in the map, where ``labels.points`` wants it.
        self.newest: Reading | None = None

    def start(self) -> None:
        """Begin with an empty map."""
        self._pipeline.clear()
        for source in self._sources:
            source.open(self._statistics, self._wake.set, self._count_drop)
        super().start()

    def stop(self) -> None:
        """Accept nothing more and let the thread end."""
        for source in self._sources:
            source.close()
        super().stop()

    def clock_went_back(self) -> None:
        """Tell of a jump of the ROS clock; the map is cleared before the next frame."""
        self._clock_went_back.set()
        self._wake.set()

    def reset(self) -> Future:
        """Forget the map and what was inferred from it; the result is True once that is done."""
        return self._between_frames(self._forget)

    def load(self, stored: StoredMap) -> Future:
        """Hold the voxels of ``stored`` and no others; the result is True once that is done.

        Or the exception of :meth:`SemanticPipeline.replace_map`.
        """

        def replace() -> None:
            self._pipeline.replace_map(stored)
            self.newest = None
            self._on_fused()

        return self._between_frames(replace)

    def _settings(self) -> Settings:
        return self._parameters.settings

    def _between_frames(self, work: Callable[[], None]) -> Future:
        done = self._requests.new(work)
        self._wake.set()
        return done

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            for done, work in self._requests.take():
                try:
                    work()
                    done.set_result(True)
                except Exception as error:
                    done.set_exception(error)
            if self._clock_went_back.is_set():
                self._clock_went_back.clear()
                self._restart("the ROS clock went back")
            for source in self._sources:
                self._advance(source)
            self._wake.wait(self._time_to_next())

    def _advance(self, source: Source) -> None:
        """Move the message at the head of one input as far as it can go now."""
        pending = source.pending or self._next(source)
        if pending is None:
            return
        try:
            frame = self._decoded(source, pending)
            with pending.watch("transform"):
                placed, robot = place(frame, self._settings(), self._transforms)
                reading = self._reading(source, pending)
            with pending.watch("insert"):
                insertion = self._pipeline.insert(placed, robot)
            check_used(insertion, frame)
            self._statistics.fused(
                source.name,
                len(placed),
                insertion,
                frame.stamp,
                pending.watch.milliseconds,
            )
            self._say_what_is_clipped(frame)
            self._only_outdated_since = None
            self.newest = reading
            source.pending = None
            self._on_fused()
        except TransformUnavailable as error:
            if error.retry and time.monotonic() < pending.deadline:
                source.pending = pending
            else:
                self._drop(source, error.reason, str(error))
        except InputError as error:
            self._drop(source, error.reason, str(error))
            if error.reason == "outdated" and self._nothing_else_comes():
                self._restart("for a whole window every message was outdated")
        except Exception as error:
            if self._drop(source, "internal", f"{type(error).__name__}: {error}"):
                self._log.error(traceback.format_exc())

    def _nothing_else_comes(self) -> bool:
        """Whether frames have been outdated, and none fused, for a whole window.

        A sensor that sent one stamp from the future, and then nothing, would outdate the others
        for good.
        """
        now = time.monotonic()
        if self._only_outdated_since is None:
            self._only_outdated_since = now
        return now - self._only_outdated_since > self._settings().window_seconds

    def _next(self, source: Source) -> Pending | None:
        now = time.monotonic()
        if now < source.due:
            return None
        message = source.take()
        if message is None:
            return None
        settings = self._settings()
        source.due = now + 1.0 / settings.input_rate
        return Pending(message, deadline=now + settings.transform_timeout)

    def _decoded(self, source: Source, pending: Pending) -> Frame:
        """The frame of a message, once; admitted in the order of stamps."""
        if pending.frame is None:
            settings = self._settings()
            frame = source.decode(pending, settings, self._transforms)
            # A message without a stamp says nothing about time: the gate must not see it.
            is_identity(settings.fixed_frame, frame.frame_id, frame.stamp)
            if source.gate.admit(frame.stamp):
                self._restart(
                    f"the stamps of {source.name} went back by more than the window", source
                )
            self._say_what_is_missing(frame)
            pending.frame = frame
        return pending.frame

    def _reading(self, source: Source, pending: Pending) -> Reading | None:
        """The newest message once that of ``source`` is in the map."""
        settings, frame = self._settings(), pending.frame
        if settings.labels.points != "input":
            return None
        if self.newest is not None and frame.stamp < self.newest.stamp:
            return self.newest
        there = self._transforms.lookup(settings.fixed_frame, frame.frame_id, frame.stamp)
        points, shape = source.own_points(pending)
        return Reading(
            points, shape, frame.stamp, frame.frame_id, there.rotation, there.translation
        )

    def _say_what_is_missing(self, frame: Frame) -> None:
        """Once for each input: a model trained with colour and normals is worse without."""
        if frame.source in self._introduced:
            return
        self._introduced.add(frame.source)
        missing = ["colour"] if frame.colors is None else []
        if frame.normals is None and not self._settings().estimate_normals:
            missing.append("normals")
        if missing:
            self._log.info(
                f"{frame.source}: no {' and no '.join(missing)}, the model gets zeros instead;"
                " the README says what that costs"
            )

    def _say_what_is_clipped(self, frame: Frame) -> None:
        if frame.clipped and self._statistics.clipped(frame.source, frame.clipped):
            self._log.error(
                f"{frame.source}: a cloud has more than max_points: only the nearest"
                f" {len(frame)} points are used, {frame.clipped} are not"
            )

    def _restart(self, why: str, current: Source | None = None) -> None:
        """Begin anew after time went back, with the message of ``current`` if there is one."""
        self._log.warning(f"{why}: map, transforms and pairing cleared")
        self._forget()
        self._transforms.clear()
        self._statistics.restarted()
        for source in self._sources:
            if source is not current:
                lost = (source.pending is not None) + (source.take() is not None)
                source.clear()
                self._statistics.dropped(source.name, "restart", why, count=lost)

    def _forget(self) -> None:
        self._pipeline.clear()
        self._only_outdated_since = None
        self.newest = None

    def _drop(self, source: Source, reason: str, text: str) -> bool:
        """Give up the message at the head of ``source``; whether that was logged."""
        source.pending = None
        return self._count_drop(source, reason, text)

    def _count_drop(self, source: Source, reason: str, text: str, count: int = 1) -> bool:
        """Messages of ``source`` are not used; whether that was logged."""
        # Names in messages may hold bytes that are not text; logs and diagnostics cannot.
        text = text.encode("utf-8", "backslashreplace").decode()
        due = self._statistics.dropped(source.name, reason, text, count)
        if due:
            self._log.warning(f"{source.name}: message dropped, {reason}: {text}")
        return due

    def _time_to_next(self) -> float:
        if any(source.pending is not None for source in self._sources):
            return RETRY_PERIOD
        now = time.monotonic()
        waits = [source.due - now for source in self._sources if source.has_mail]
        return min(max(min(waits, default=IDLE_PERIOD), 0.0), IDLE_PERIOD)

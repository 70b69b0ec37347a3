# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The intake stage: one thread adds the newest message of each input to the map."""

from __future__ import annotations

import math
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol

from rclpy.clock import Clock
from rclpy.impl.rcutils_logger import RcutilsLogger

from concerto_ros.intake.intake import FrameMap, Intake
from concerto_ros.intake.pace import EvenPace, HasSettings
from concerto_ros.intake.tally import Tally
from concerto_ros.mapping.voxel_map import Insertion
from concerto_ros.ptv3.cpu.threads import keep_to_this_thread
from concerto_ros.ros.inputs.subscriptions import Subscriptions
from concerto_ros.ros.monitoring.statistics import Statistics
from concerto_ros.ros.stages.stage import StageThread
from concerto_ros.sensors.frame import Frame

#: How often the transform of a waiting frame is looked up again, seconds.
RETRY_PERIOD = 0.02

#: Longest sleep of the thread, seconds.
IDLE_PERIOD = 1.0


class FrameListener(Protocol):
    """A stage that computes something from the map."""

    def notify(self) -> None:
        """React to a new frame in the map, or to a replaced map."""


class IntakeStage(StageThread):
    """Adds at most ``input_rate`` messages per second of each input to the map.

    Args:
        subscriptions: The inputs and their transforms.
        pipeline: The map.
        parameters: The current settings.
        statistics: Counts the messages.
        listener: Is notified after each frame.
        logger: Of the node.
    """

    def __init__(
        self,
        subscriptions: Subscriptions,
        pipeline: FrameMap,
        parameters: HasSettings,
        statistics: Statistics,
        listener: FrameListener,
        logger: RcutilsLogger,
    ):
        super().__init__("intake")
        self._subscriptions = subscriptions
        self._pipeline = pipeline
        self._parameters = parameters
        self._listener = listener
        self._tally = LoggedTally(statistics, parameters, subscriptions.clock, logger)
        self._pace = EvenPace(parameters)
        self._intake = Intake(
            subscriptions.inputs,
            pipeline,
            subscriptions.transforms,
            parameters,
            self._pace,
            self._tally,
        )
        self._clock_went_back = threading.Event()

    def start(self) -> None:
        """Clear the map and start the thread."""
        self._pipeline.clear()
        self._subscriptions.open(self._tally, self._wake)
        super().start()

    def stop(self) -> None:
        """Ignore further messages, and ask the thread to end after its current work."""
        self._subscriptions.close()
        super().stop()

    def on_time_jump(self) -> None:
        """React to a ROS clock that went back: the map is cleared before the next frame."""
        self._clock_went_back.set()
        self._wake.set()

    def reset(self) -> Future:
        """Clear the map and everything computed from it; the future's result is True when done."""

        def forget() -> None:
            self._pipeline.clear()
            self._tally.forget_outdated()

        return self._between_frames(forget)

    def change_map(self, change: Callable[[], None]) -> Future:
        """Call ``change`` between two frames, and notify the listener.

        Args:
            change: Changes the map; called by the intake thread.

        Returns:
            A future, True when done; it raises what ``change`` raises.
        """

        def work() -> None:
            change()
            self._listener.notify()

        return self._between_frames(work)

    def _between_frames(self, work: Callable[[], None]) -> Future:
        done = self._requests.new(work)
        self._wake.set()
        return done

    def _live(self) -> None:
        # The other cores are the inference's: an operation that is cut into parts for all cores
        # would wait there for the longest of its products.
        keep_to_this_thread()
        super()._live()

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
                self._intake.restart("the ROS clock went back")
            for source in self._intake.inputs:
                if self._intake.advance(source, time.monotonic_ns()):
                    self._listener.notify()
                # One stamp from the future would make all messages of other sensors outdated
                # forever.
                if self._tally.only_outdated > self._parameters.settings.window_seconds:
                    self._intake.restart("for a whole window every message was outdated")
            self._wake.wait(self._time_to_next())

    def _time_to_next(self) -> float:
        inputs, now = self._intake.inputs, time.monotonic_ns()
        if any(source.waiting for source in inputs):
            return RETRY_PERIOD
        waits = [(self._pace.due(source) - now) * 1e-9 for source in inputs if source.has_mail]
        return min(max(min(waits, default=IDLE_PERIOD), 0.0), IDLE_PERIOD)


class LoggedTally(Tally):
    """Counts messages in ``statistics``, and logs what the user has to know."""

    def __init__(
        self,
        statistics: Statistics,
        parameters: HasSettings,
        clock: Clock,
        logger: RcutilsLogger,
    ):
        self._statistics = statistics
        self._parameters = parameters
        self._clock = clock
        self._log = logger
        self._first_seen: set[str] = set()
        self._first_outdated: float | None = None
        #: Seconds for which frames were outdated and none was fused, up to the newest of them.
        self.only_outdated = 0.0

    def received(self, name: str, count: int = 1, stamp: int = 0) -> None:
        """Count messages that came in, with the age of their ``stamp``."""
        age = (self._clock.now().nanoseconds - stamp) * 1e-9 if stamp else math.nan
        self._statistics.received(name, count, age)

    def dropped(self, name: str, reason: str, text: str = "", count: int = 1) -> None:
        """Count messages that are not used, and log them unless the same was logged lately."""
        if reason == "outdated":
            now = time.monotonic()
            if self._first_outdated is None:
                self._first_outdated = now
            self.only_outdated = now - self._first_outdated
        to_log = self._statistics.dropped(name, reason, text, count)
        if to_log and reason != "restart":  # a restart is logged for all inputs together
            self._log.warning(f"{name}: message dropped, {reason}: {to_log}")
            if reason == "internal":
                self._log.error(traceback.format_exc())

    def fused(
        self, name: str, frame: Frame, insertion: Insertion, stage_ms: dict[str, float]
    ) -> None:
        """Count a frame that was added to the map, and log points that were left out."""
        self._statistics.fused(name, len(frame), insertion, frame.stamp, stage_ms)
        self._log_missing_channels(frame)
        self._statistics.used(name, frame)
        if frame.clipped and self._statistics.clipped(name, frame.clipped):
            self._log.error(
                f"{name}: a cloud has more points than max_points: the nearest {len(frame)} points"
                f" are used, {frame.clipped} are not"
            )
        if insertion.outside and self._statistics.off_lattice(name, insertion.outside):
            self._log.warning(
                f"{name}: {insertion.outside} of {len(frame)} points lie more than 2^20 voxels"
                " from the origin of fixed_frame and are not used"
            )
        if frame.uncolored and self._statistics.uncolored(name, frame.uncolored):
            self._log.warning(f"{name}: used without colour: {frame.uncolored}")
        self.forget_outdated()

    def restarted(self, why: str) -> None:
        """Log that the map was cleared because time went back or all messages were outdated."""
        self._log.warning(f"{why}: map, transforms and pairing cleared")
        self._statistics.restarted()
        self.forget_outdated()

    def forget_outdated(self) -> None:
        """Measure :attr:`only_outdated` from now on."""
        self._first_outdated, self.only_outdated = None, 0.0

    def _log_missing_channels(self, frame: Frame) -> None:
        """Log once per input that it has no colour or normals: the labels are worse without."""
        if frame.source in self._first_seen:
            return
        self._first_seen.add(frame.source)
        missing = ["colour"] if frame.colors is None else []
        if frame.normals is None and not self._parameters.settings.estimate_normals:
            missing.append("normals")
        if missing:
            self._log.info(
                f"{frame.source}: no {' and no '.join(missing)}, the model gets zeros instead;"
                " docs/inputs.md describes the effect"
            )

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The inference stage: one thread labels the newest map whenever somebody wants to know."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Collection

from rclpy.impl.rcutils_logger import RcutilsLogger

from concerto_ros.cloud.voxel_map import Snapshot
from concerto_ros.memory import release_unused_memory
from concerto_ros.pipeline import Prediction, SemanticPipeline
from concerto_ros.ros.statistics import Statistics
from concerto_ros.ros.worker import Worker
from concerto_ros.settings import Settings
from concerto_ros.stopwatch import Stopwatch

#: How often the thread looks whether a subscriber has come, seconds.
SUBSCRIBER_POLL = 0.1

#: How often memory that is not in use goes back to the system, seconds.
RELEASE_PERIOD = 2.0


class Inference(Worker):
    """Turns the newest map into a prediction, at most ``rate`` times a second.

    ``wanted`` names the outputs that somebody listens to; nothing runs while there are none, or
    while they are not ``due``.
    ``publish`` gets each map and prediction, the outputs they were made for and the stopwatch of
    the stages.
    """

    def __init__(
        self,
        pipeline: SemanticPipeline,
        settings: Callable[[], Settings],
        statistics: Statistics,
        wanted: Callable[[], Collection[str]],
        due: Callable[[Collection[str]], bool],
        publish: Callable[[Snapshot, Prediction, Collection[str], Stopwatch], None],
        logger: RcutilsLogger,
    ):
        super().__init__("inference")
        self._pipeline = pipeline
        self._settings = settings
        self._statistics = statistics
        self._wanted = wanted
        self._due = due
        self._publish = publish
        self._log = logger

    def notify(self) -> None:
        """Tell of a new frame in the map."""
        self._wake.set()

    def _run(self) -> None:
        answered: frozenset[str] = frozenset()
        released = time.monotonic()
        while not self._stop.is_set():
            fresh = self._wake.wait(SUBSCRIBER_POLL)
            wanted = self._wanted_now()
            if not wanted:
                answered = wanted
                self._stop.wait(SUBSCRIBER_POLL if fresh else 0.0)
                continue
            # A new subscriber gets the map as it is, even when no frame comes any more.
            if not fresh and wanted <= answered:
                continue
            if not self._due(wanted):
                self._stop.wait(SUBSCRIBER_POLL)
                continue
            start = time.monotonic()
            self._wake.clear()
            if self._infer(wanted):
                answered = wanted
            if start - released >= RELEASE_PERIOD:
                release_unused_memory()
                released = start
            self._stop.wait(start + 1.0 / self._settings().rate - time.monotonic())

    def _wanted_now(self) -> frozenset[str]:
        try:
            return frozenset(self._wanted())
        except Exception as error:  # the middleware on its way down
            self._log.debug(f"subscribers cannot be counted: {error}")
            return frozenset()

    def _infer(self, wanted: frozenset[str]) -> bool:
        """Whether there was a map to label."""
        watch = Stopwatch()
        try:
            with watch("snapshot"):
                snapshot = self._pipeline.snapshot()
            if len(snapshot.points) == 0:
                return False
            outputs = wanted | {"labels"} if "objects" in wanted else wanted
            prediction = self._pipeline.infer(snapshot, outputs)
            if self._stop.is_set():
                return False
            watch.milliseconds.update(prediction.stage_ms)
            self._publish(snapshot, prediction, wanted, watch)
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            if self._statistics.failed(text):
                self._log.error(f"inference failed: {text}\n{traceback.format_exc()}")
        return True

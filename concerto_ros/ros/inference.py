# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The inference stage: one thread labels the newest map whenever somebody wants to know."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Collection
from concurrent.futures import Future
from dataclasses import dataclass

from rclpy.impl.rcutils_logger import RcutilsLogger

from concerto_ros.cloud.frame import Reading
from concerto_ros.cloud.snapshot import Snapshot
from concerto_ros.memory import release_unused_memory
from concerto_ros.pipeline import Prediction, SemanticPipeline
from concerto_ros.ros.statistics import Statistics
from concerto_ros.ros.worker import Requests, Worker
from concerto_ros.settings import Settings
from concerto_ros.stopwatch import Stopwatch

#: How often the thread looks whether a subscriber has come, seconds.
SUBSCRIBER_POLL = 0.1

#: What is wanted while a service call waits for labels.
REQUEST = "request"

#: How often memory that is not in use goes back to the system, seconds.
RELEASE_PERIOD = 2.0


@dataclass(frozen=True, eq=False)
class Labelled:
    """A map, its labels, and the newest message in it where that is wanted."""

    snapshot: Snapshot
    prediction: Prediction
    reading: Reading | None


class Inference(Worker):
    """Turns the newest map into a prediction, at most ``rate`` times a second.

    ``wanted`` names the outputs that somebody listens to; nothing runs while there are none, or
    while they are not ``due``.
    ``newest`` gives the newest message in the map, as far as somebody wants it back.
    ``publish`` gets each map with its labels, the outputs they were made for and the stopwatch of
    the stages.
    """

    def __init__(
        self,
        pipeline: SemanticPipeline,
        settings: Callable[[], Settings],
        statistics: Statistics,
        wanted: Callable[[], Collection[str]],
        due: Callable[[Collection[str]], bool],
        newest: Callable[[], Reading | None],
        publish: Callable[[Labelled, Collection[str], Stopwatch], None],
        logger: RcutilsLogger,
    ):
        super().__init__("inference")
        self._pipeline = pipeline
        self._settings = settings
        self._statistics = statistics
        self._wanted = wanted
        self._due = due
        self._newest = newest
        self._publish = publish
        self._log = logger
        self._requests = Requests()

    def notify(self) -> None:
        """Tell of a new frame in the map."""
        self._wake.set()

    def labelled(self) -> Future:
        """The next map with labels, a :class:`Labelled`; None where there is no map.

        The result is an exception where labelling fails.
        """
        return self._requests.new()

    def _run(self) -> None:
        try:
            self._work()
        finally:
            self._requests.close()

    def _work(self) -> None:
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
                answered = wanted - {REQUEST}
            if start - released >= RELEASE_PERIOD:
                release_unused_memory()
                released = start
            self._stop.wait(start + 1.0 / self._settings().rate - time.monotonic())

    def _wanted_now(self) -> frozenset[str]:
        try:
            return frozenset([*self._wanted(), REQUEST] if self._requests else self._wanted())
        except Exception as error:  # the middleware on its way down
            self._log.debug(f"subscribers cannot be counted: {error}")
            return frozenset()

    def _infer(self, wanted: frozenset[str]) -> bool:
        """Whether there was a map to label."""
        watch = Stopwatch()
        requests = self._requests.take() if REQUEST in wanted else []
        answer: Labelled | Exception | None = None
        try:
            reading = self._newest()  # before the snapshot, which then holds its points
            with watch("snapshot"):
                snapshot = self._pipeline.snapshot()
            if len(snapshot.points) == 0:
                return False
            # Everything but the colours is made of labels.
            outputs = (wanted & {"pca"}) | ({"labels"} if wanted - {"pca"} else set())
            prediction = self._pipeline.infer(snapshot, outputs)
            if self._stop.is_set():
                return False
            watch.milliseconds.update(prediction.stage_ms)
            answer = Labelled(snapshot, prediction, reading)
            self._publish(answer, wanted, watch)
        except Exception as error:
            answer = error if answer is None else answer
            text = f"{type(error).__name__}: {error}"
            if self._statistics.failed(text):
                self._log.error(f"inference failed: {text}\n{traceback.format_exc()}")
        finally:
            for request, _ in requests:
                if isinstance(answer, Exception):
                    request.set_exception(answer)
                else:
                    request.set_result(answer)
        return True

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The inference stage: one thread labels the newest map whenever somebody wants to know."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Collection
from concurrent.futures import Future

import numpy as np
import torch
from rclpy.impl.rcutils_logger import RcutilsLogger

from concerto_ros.heads.similarity import FeatureQuery
from concerto_ros.labels.output_clouds import SIMILARITY, needs_of
from concerto_ros.mapping.map_snapshot import MapSnapshot
from concerto_ros.pipeline import SemanticPipeline
from concerto_ros.ros.inputs.clicks import Clicks
from concerto_ros.ros.monitoring.memory_use import release_unused_memory
from concerto_ros.ros.monitoring.statistics import Statistics
from concerto_ros.ros.outputs.labelled_map import LabelledMap, RowFeatures
from concerto_ros.ros.outputs.publisher import Outputs
from concerto_ros.ros.parameters import Parameters
from concerto_ros.ros.stages.stage import StageThread
from concerto_ros.stopwatch import Stopwatch

#: How often the thread looks whether a subscriber has come, seconds.
SUBSCRIBER_POLL = 0.1

#: What is wanted while a service call waits for labels.
REQUEST = "request"

#: How often memory that is not in use goes back to the system, seconds.
RELEASE_PERIOD = 2.0


#: Which rows of a map somebody wants the features of; raises where it has none such.
Choice = Callable[[MapSnapshot], np.ndarray]


class InferenceStage(StageThread):
    """Turns the newest map into a prediction, at most ``rate`` times a second.

    Nothing runs while none of the ``outputs`` is wanted, or while those that are are not due.
    """

    def __init__(
        self,
        pipeline: SemanticPipeline,
        parameters: Parameters,
        statistics: Statistics,
        outputs: Outputs,
        clicks: Clicks,
        logger: RcutilsLogger,
    ):
        super().__init__("inference")
        self._pipeline = pipeline
        self._parameters = parameters
        self._statistics = statistics
        self._outputs = outputs
        self._clicks = clicks
        self._log = logger

    def notify(self) -> None:
        """Tell of a new frame in the map."""
        self._wake.set()

    def next_labels(self) -> Future:
        """The next map with labels, a :class:`LabelledMap`; None where there is no map.

        The result is an exception where labelling fails.
        """
        return self._requests.new()

    def next_features(self, choose: Choice) -> Future:
        """The features of the rows that ``choose`` takes of the next map, :class:`RowFeatures`.

        None where there is no map; an exception where ``choose`` or labelling raises one.
        """
        return self._requests.new(choose)

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
            if not self._outputs.due(wanted):
                self._stop.wait(SUBSCRIBER_POLL)
                continue
            start = time.monotonic()
            self._wake.clear()
            if self._infer(wanted):
                answered = wanted - {REQUEST}
            if start - released >= RELEASE_PERIOD:
                release_unused_memory()
                released = start
            self._stop.wait(start + 1.0 / self._parameters.settings.rate - time.monotonic())

    def _wanted_now(self) -> frozenset[str]:
        try:
            wanted = self._outputs.wanted()
            return wanted | {REQUEST} if self._requests else wanted
        except Exception as error:  # the middleware on its way down
            self._log.debug(f"subscribers cannot be counted: {error}")
            return frozenset()

    def _infer(self, wanted: frozenset[str]) -> bool:
        """Whether there was a map to label."""
        watch = Stopwatch()
        requests = self._requests.take() if REQUEST in wanted else []
        answer: LabelledMap | Exception | None = None
        chosen: list[np.ndarray | Exception | None] = [None] * len(requests)
        try:
            with watch("snapshot"):
                snapshot = self._pipeline.snapshot()
            if len(snapshot.points) == 0:
                return False
            chosen = [_chosen(choose, snapshot) for _, choose in requests]
            needs, like = needs_of(wanted), None
            if SIMILARITY in needs:
                needs.remove(SIMILARITY)
                like = self._clicks.reference_feature(snapshot.stamp)
            prediction = self._pipeline.infer(snapshot, needs, _question(like, chosen))
            if self._stop.is_set():
                return False
            watch.milliseconds.update(prediction.stage_ms)
            answer = LabelledMap(snapshot, prediction)
            self._outputs.publish(answer, wanted, watch)
        except Exception as error:
            answer = error if answer is None else answer
            text = f"{type(error).__name__}: {error}"
            if self._statistics.failed(text):
                self._log.error(f"inference failed: {text}\n{traceback.format_exc()}")
        finally:
            _answer([request for request, _ in requests], chosen, answer)
        return True


def _chosen(choose: Choice | None, snapshot: MapSnapshot) -> np.ndarray | Exception | None:
    """The rows that a call wants; what it raises is its own answer and nobody else's."""
    if choose is None:
        return None
    try:
        return choose(snapshot)
    except Exception as error:
        return error


def _question(
    like: torch.Tensor | None, chosen: Collection[np.ndarray | Exception | None]
) -> FeatureQuery:
    rows = [rows for rows in chosen if isinstance(rows, np.ndarray)]
    return FeatureQuery(like, np.concatenate(rows) if rows else None)


def _answer(
    requests: Collection[Future],
    chosen: Collection[np.ndarray | Exception | None],
    answer: LabelledMap | Exception | None,
) -> None:
    """Give each call the map, with the features of its own rows where it chose any."""
    begin = 0
    for request, rows in zip(requests, chosen, strict=True):
        error = next((one for one in (rows, answer) if isinstance(one, Exception)), None)
        if error is not None:
            request.set_exception(error)
        elif rows is None or answer is None:
            request.set_result(answer)
        else:
            features = answer.prediction.features[begin : begin + len(rows)]
            request.set_result(RowFeatures(answer, rows, features))
        if isinstance(rows, np.ndarray):
            begin += len(rows)

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The inference stage: one thread labels the newest map while its results are needed."""

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

#: How often the thread checks for new subscribers, seconds.
SUBSCRIBER_POLL = 0.1

#: An output that is wanted while a service call waits for labels.
REQUEST = "request"

#: How often unused memory is returned to the system, seconds.
RELEASE_PERIOD = 2.0

#: Chooses the rows of a map whose features a call needs; it may raise.
Choice = Callable[[MapSnapshot], np.ndarray]


class InferenceStage(StageThread):
    """Turns the newest map into a prediction, at most ``rate`` times per second.

    It sleeps while none of the ``outputs`` is wanted, and while the wanted ones are not due.
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
        """Wake the thread after the map or the classes have changed."""
        self._wake.set()

    def next_labels(self) -> Future:
        """Request the next labels.

        Returns:
            A future :class:`LabelledMap`; None if the map is empty. It raises what labelling
            raises.
        """
        return self._requests.new()

    def next_features(self, choose: Choice) -> Future:
        """Request the features of some rows of the next map.

        Args:
            choose: Returns the rows (n,) of a map snapshot; called by the inference thread.

        Returns:
            A future :class:`RowFeatures`; None if the map is empty. It raises what ``choose`` or
            labelling raises.
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
            # A new subscriber gets the current map, even if no new frame comes.
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
        except Exception as error:  # the middleware is shutting down
            self._log.debug(f"subscribers cannot be counted: {error}")
            return frozenset()

    def _infer(self, wanted: frozenset[str]) -> bool:
        """Label the newest map, publish it and answer requests; False if the map is empty."""
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
            needs, reference = needs_of(wanted), None
            if SIMILARITY in needs:
                needs.remove(SIMILARITY)
                reference = self._clicks.reference_feature(snapshot.stamp)
            prediction = self._pipeline.infer(snapshot, needs, _query(reference, chosen))
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
    """The rows that a call needs, or the exception of ``choose``, which only this call gets."""
    if choose is None:
        return None
    try:
        return choose(snapshot)
    except Exception as error:
        return error


def _query(
    reference: torch.Tensor | None, chosen: Collection[np.ndarray | Exception | None]
) -> FeatureQuery:
    rows = [rows for rows in chosen if isinstance(rows, np.ndarray)]
    return FeatureQuery(reference, np.concatenate(rows) if rows else None)


def _answer(
    requests: Collection[Future],
    chosen: Collection[np.ndarray | Exception | None],
    answer: LabelledMap | Exception | None,
) -> None:
    """Answer each call with the map, and with the features of its rows if it chose any."""
    begin = 0
    for request, rows in zip(requests, chosen, strict=True):
        if isinstance(rows, Exception):
            request.set_exception(rows)
        elif isinstance(answer, Exception):
            request.set_exception(answer)
        elif rows is None or answer is None:
            request.set_result(answer)
        else:
            features = answer.prediction.features
            assert features is not None  # they were queried with the rows
            request.set_result(RowFeatures(answer, rows, features[begin : begin + len(rows)]))
        if isinstance(rows, np.ndarray):
            begin += len(rows)

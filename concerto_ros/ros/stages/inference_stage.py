# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The inference stage: one thread labels the newest map while its results are needed."""

from __future__ import annotations

import math
import os
import threading
import time
import traceback
from collections.abc import Callable, Collection
from concurrent.futures import Future
from dataclasses import replace

import numpy as np
from rclpy.impl.rcutils_logger import RcutilsLogger

from concerto_ros.heads.similarity import FeatureQuery
from concerto_ros.labels.output_clouds import FEATURES, SIMILARITY, needs_of
from concerto_ros.mapping.generation import Generation
from concerto_ros.mapping.map_snapshot import MapSnapshot
from concerto_ros.objects.finding.finder import FoundObjects
from concerto_ros.objects.finding.text_vectors import rows_of_objects, with_text_vectors
from concerto_ros.pipeline import SemanticPipeline
from concerto_ros.ptv3.kernels.lost_device import why_lost
from concerto_ros.ros.inputs.comparison import Comparison
from concerto_ros.ros.monitoring.memory_use import release_unused_memory
from concerto_ros.ros.monitoring.statistics import Statistics
from concerto_ros.ros.outputs.labelled_map import LabelledMap, RowFeatures
from concerto_ros.ros.outputs.publisher import Outputs
from concerto_ros.ros.parameters import Parameters
from concerto_ros.ros.stages.stage import StageThread
from concerto_ros.segmentation.regions.selection import PATIENCE
from concerto_ros.stopwatch import Stopwatch

#: How often the thread checks for new subscribers, seconds.
SUBSCRIBER_POLL = 0.1

#: An output that is wanted while a service call waits for labels.
REQUEST = "request"

#: How often unused memory is returned to the system, seconds.
RELEASE_PERIOD = 2.0

#: Seconds after which a map is labelled again if no newer frame comes, and an inference failed, or
#: voxels wait for their first prediction: while newer frames come they have it by then.
SETTLE = PATIENCE

#: Chooses the rows of a map whose features a call needs; it may raise.
Choice = Callable[[MapSnapshot], np.ndarray]

#: What a call waits for: labels alone, features of rows, or the comparison with a text.
Request = tuple[Future, Choice | FeatureQuery | None]


class Needs:
    """What outputs need, collected by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._names: set[str] = set()

    def add(self, name: str) -> None:
        """Add LABELS, PCA or SIMILARITY."""
        with self._lock:
            self._names.add(name)

    def take(self) -> set[str]:
        """Remove and return what was added."""
        with self._lock:
            names, self._names = self._names, set()
        return names


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
        comparison: Comparison,
        logger: RcutilsLogger,
    ):
        super().__init__("inference")
        self._pipeline = pipeline
        self._parameters = parameters
        self._statistics = statistics
        self._outputs = outputs
        self._comparison = comparison
        self._log = logger
        #: The state of the map that was published last.
        self._published: tuple[Generation, int] | None = None
        #: When that map is labelled again unless a newer one is; seconds of the monotonic clock.
        self._settle = math.inf
        #: What has to be computed again although the map may not have changed.
        self._stale = Needs()

    def notify(self) -> None:
        """Wake the thread after the map has changed."""
        self._wake.set()

    def refresh(self, need: str) -> None:
        """Compute the outputs with this need again, even for the same map.

        Args:
            need: LABELS after the classes have changed, SIMILARITY after the comparison has.
        """
        self._stale.add(need)
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

    def described(self, findings: FoundObjects) -> FoundObjects:
        """Return objects with their vectors in the text space, by the features of the next map.

        This waits for that map.

        Raises:
            ValueError: There is no language head.
        """
        objects, head = findings.objects, self._pipeline.words.head
        rows: list[np.ndarray] = []

        def choose(snapshot: MapSnapshot) -> np.ndarray:
            rows[:] = rows_of_objects(objects, snapshot.keys)
            return np.concatenate(rows)

        result = self.next_features(choose).result() if objects else None
        if result is None:
            return findings
        described = with_text_vectors(objects, result.features, [len(r) for r in rows], head)
        return replace(findings, objects=described)

    def next_match(self, question: FeatureQuery) -> Future:
        """Request a comparison of the next map with a text.

        Args:
            question: About the text; it names no rows.

        Returns:
            A future :class:`LabelledMap`, whose prediction has the answer; None if the map is
            empty. It raises what labelling raises.
        """
        return self._requests.new(question)

    def _live(self) -> None:
        # On Linux, of this thread and of those that it starts: PyTorch's for its products.
        os.nice(self._parameters.settings.inference.nice)
        super()._live()

    def _run(self) -> None:
        answered: frozenset[str] = frozenset()
        released = time.monotonic()
        while not self._stop.is_set():
            fresh = self._wake.wait(SUBSCRIBER_POLL)
            wanted = self._wanted_now()
            answered &= wanted
            if not wanted:
                self._stop.wait(SUBSCRIBER_POLL if fresh else 0.0)
                continue
            settle = time.monotonic() >= self._settle
            # A new subscriber gets the current map, even if no new frame comes.
            if not fresh and not settle and wanted <= answered:
                continue
            if not self._outputs.due(wanted):
                self._stop.wait(SUBSCRIBER_POLL)
                continue
            start = time.monotonic()
            self._wake.clear()
            watch = Stopwatch()
            with watch("snapshot"):
                snapshot = self._snapshot()
            due = self._due(snapshot, wanted, frozenset() if settle else answered)
            if due == wanted:  # nothing of an earlier prediction is out any more
                self._settle = math.inf
            if snapshot is None or not due:
                continue
            if self._infer(snapshot, due, watch):
                answered = wanted - {REQUEST}
            self._pipeline.capture_graphs()  # nobody waits between two maps
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

    def _snapshot(self) -> MapSnapshot | None:
        """The newest map; None if it has no voxel, or is about to be cleared."""
        try:
            snapshot = self._pipeline.snapshot()
        except Exception as error:
            self._failed(error)
            return None
        if len(snapshot):
            return snapshot if snapshot.generation.current else None
        for request, _ in self._requests.take():
            request.set_result(None)
        return None

    def _due(
        self, snapshot: MapSnapshot | None, wanted: frozenset[str], answered: frozenset[str]
    ) -> frozenset[str]:
        """The outputs in ``wanted`` that have not been published for the map of ``snapshot``.

        A frame that came while the last snapshot was taken wakes the thread once more for it.
        """
        stale = self._stale.take()
        if snapshot is None or _state(snapshot) != self._published:
            return wanted
        return frozenset(
            name for name in wanted if name not in answered or needs_of([name]) & stale
        )

    def _infer(self, snapshot: MapSnapshot, wanted: frozenset[str], watch: Stopwatch) -> bool:
        """Label a map, publish it and answer requests.

        False if the map was cleared, or the classes were changed, meanwhile.
        """
        requests = self._requests.take() if REQUEST in wanted else []
        text, requests, later = _one_text(requests)
        self._requests.put_back(later)
        answer: LabelledMap | Exception | None = None
        chosen = [_chosen(request, snapshot) for _, request in requests]
        try:
            needs, question = needs_of(wanted), text
            if SIMILARITY in needs:
                needs.remove(SIMILARITY)
                question = text or self._comparison.question(snapshot.stamp)
            if FEATURES in needs:
                needs.remove(FEATURES)
                count = self._parameters.settings.features.components
                axes = self._pipeline.projection.first(count).axes
                question = replace(question or FeatureQuery(), every=True, axes=axes)
            prediction = self._pipeline.infer(snapshot, needs, _with_rows(question, chosen))
            if self._stop.is_set():
                return False
            watch.milliseconds.update(prediction.stage_ms)
            with snapshot.generation.held() as current:
                # Since the classes were changed, their numbers mean something else to listeners.
                if current and prediction.classes is self._pipeline.labels.classes:
                    answer = LabelledMap(snapshot, prediction)
                    self._outputs.publish(answer, wanted, watch)
                    self._published = _state(snapshot)
                    if prediction.waiting is not None:
                        self._settle = time.monotonic() + SETTLE
        except Exception as error:
            answer = error if answer is None else answer
            self._failed(error)
            self._settle = time.monotonic() + SETTLE
        finally:
            if answer is None and not self._stop.is_set():  # of what is forgotten
                self._statistics.outdated()
                self._requests.put_back(requests)
            else:
                _answer([request for request, _ in requests], chosen, answer)
        return answer is not None

    def _failed(self, error: Exception) -> None:
        text = f"{type(error).__name__}: {error}"
        if self._statistics.failed(text):
            self._log.error(f"inference failed: {text}\n{traceback.format_exc()}")
        self._statistics.device_lost = why_lost(self._pipeline.device)


def _state(snapshot: MapSnapshot) -> tuple[Generation, int]:
    """What is equal for equal maps."""
    return snapshot.generation, snapshot.revision


def _one_text(requests: list[Request]) -> tuple[FeatureQuery | None, list[Request], list[Request]]:
    """The text that the oldest of the requests about one asks for, if any does.

    Returns:
        The text, the requests without those about other texts, and these.
    """
    texts = [asked for _, asked in requests if isinstance(asked, FeatureQuery)]
    text = texts[0] if texts else None
    later = [r for r in requests if isinstance(r[1], FeatureQuery) and r[1] is not text]
    return text, [r for r in requests if r not in later], later


def _chosen(
    request: Choice | FeatureQuery | None, snapshot: MapSnapshot
) -> np.ndarray | Exception | None:
    """The rows that a call needs, or the exception of its choice, which only this call gets."""
    if request is None or isinstance(request, FeatureQuery):
        return None
    try:
        return request(snapshot)
    except Exception as error:
        return error


def _with_rows(
    question: FeatureQuery | None, chosen: Collection[np.ndarray | Exception | None]
) -> FeatureQuery:
    rows = [rows for rows in chosen if isinstance(rows, np.ndarray)]
    return replace(question or FeatureQuery(), rows=np.concatenate(rows) if rows else None)


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

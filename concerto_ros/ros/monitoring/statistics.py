# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the node did, counted by stage and by reason; safe to use from several threads."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from dataclasses import dataclass, field, replace

from concerto_ros.intake import tally
from concerto_ros.mapping.voxel_map import Insertion
from concerto_ros.ros.monitoring.recent_values import Recent, Window

#: Reasons that are normal operation: the sensor is faster than ``input_rate``.
HARMLESS = frozenset({"superseded"})

#: One log line per input and reason in so many seconds.
LOG_PERIOD = 10.0


@dataclass
class InputStatistics(tally.InputCounts):
    """Messages of one input, and when they came.

    ``ages``: how long after their stamps messages arrived, seconds; NaN where they have none.
    ``errors``: the newest text of each reason for a drop.
    """

    last_received: float = -math.inf
    ages: Window = field(default_factory=Window)
    errors: dict[str, str] = field(default_factory=dict)
    last_fused: float = -math.inf
    last_drop: dict[str, float] = field(default_factory=dict)
    last_error: str = ""
    clipped: int = 0
    last_clipped: float = -math.inf


@dataclass
class Report:
    """The counts at one moment; times are seconds of :func:`time.monotonic`.

    ``latencies``: of recent predictions, in milliseconds. ``late``: predictions after the
    deadline.
    """

    inputs: dict[str, InputStatistics] = field(default_factory=dict)
    stage_ms: dict[str, float] = field(default_factory=dict)
    latency_ms: float = math.nan
    latencies: Window = field(default_factory=Window)
    late: int = 0
    last_late: float = -math.inf
    points: int = 0
    voxels: int = 0
    evicted: int = 0
    last_evicted: float = -math.inf
    cleared: int = 0
    inferences: int = 0
    failures: int = 0
    last_failure: float = -math.inf
    failure: str = ""
    objects: int = 0
    object_passes: int = 0
    object_failures: int = 0
    objects_not_encoded: int = 0
    last_object_failure: float = -math.inf
    object_failure: str = ""
    withheld: Counter[str] = field(default_factory=Counter)
    last_withheld: float = -math.inf
    withholding: str = ""
    stamp: int = 0
    started: float = math.nan
    time: float = math.nan

    @property
    def drops(self) -> Counter[str]:
        """Messages not used, over all inputs."""
        return sum((counts.drops for counts in self.inputs.values()), Counter())


class Statistics:
    """Counts since activation."""

    def __init__(self, inputs: list[str]):
        self._lock = threading.Lock()
        self._inputs = {name: InputStatistics() for name in inputs}
        self._arrivals = {name: Recent() for name in inputs}
        self._latencies = Recent()
        self._logged: dict[tuple[str, str], float] = {}
        # Of the newest frame, the newest prediction and the newest search for objects.
        self._intake_ms: dict[str, float] = {}
        self._inference_ms: dict[str, float] = {}
        self._object_ms: dict[str, float] = {}
        #: What is counted over all inputs together; :meth:`report` fills in the rest.
        self._totals = Report(started=time.monotonic())

    def received(self, source: str, count: int = 1, age: float = math.nan) -> None:
        """Messages came in, ``age`` seconds after their stamp; an RGB-D pair is one."""
        with self._lock:
            counts = self._inputs[source]
            counts.received += count
            counts.last_received = time.monotonic()
            for _ in range(count):
                self._arrivals[source].add(age)

    def dropped(self, source: str, reason: str, text: str = "", count: int = 1) -> str:
        """Messages are not used; the text to be logged, empty where that is not due."""
        with self._lock:
            counts = self._inputs[source]
            now = time.monotonic()
            text = counts.drop(reason, text, count)
            counts.last_drop[reason] = now
            if reason in HARMLESS:
                return ""
            counts.last_error = counts.errors[reason] = text
            due = now - self._logged.get((source, reason), -math.inf) >= LOG_PERIOD
            if due:
                self._logged[source, reason] = now
            return text if due else ""

    def fused(
        self,
        source: str,
        points: int,
        insertion: Insertion,
        stamp: int,
        stage_ms: dict[str, float],
    ) -> None:
        """A frame is in the map."""
        with self._lock:
            counts = self._inputs[source]
            counts.fused += 1
            counts.last_fused = time.monotonic()
            self._totals.points = points
            self._totals.evicted += insertion.evicted
            self._totals.cleared += insertion.cleared
            if insertion.evicted:
                self._totals.last_evicted = time.monotonic()
            self._totals.stamp = max(self._totals.stamp, stamp)
            self._intake_ms = stage_ms

    def clipped(self, source: str, points: int) -> bool:
        """Points of a frame went unused because it has too many; whether that is to be logged."""
        with self._lock:
            counts = self._inputs[source]
            counts.clipped += points
            counts.last_clipped = now = time.monotonic()
            due = now - self._logged.get((source, "clipped"), -math.inf) >= LOG_PERIOD
            if due:
                self._logged[source, "clipped"] = now
            return due

    def inferred(
        self, voxels: int, latency_ms: float, stage_ms: dict[str, float], deadline: float = 0.0
    ) -> None:
        """A prediction was published; late ``deadline`` seconds after the stamp; 0: never."""
        with self._lock:
            self._latencies.add(latency_ms)
            if deadline and not latency_ms <= 1e3 * deadline:
                self._totals.late += 1
                self._totals.last_late = time.monotonic()
            self._totals.inferences += 1
            self._totals.voxels = voxels
            self._totals.latency_ms = latency_ms
            self._inference_ms = stage_ms

    def failed(self, text: str) -> bool:
        """An inference raised; whether that is due to be logged."""
        with self._lock:
            now = time.monotonic()
            due = now - self._totals.last_failure >= LOG_PERIOD
            self._totals.failures += 1
            self._totals.last_failure = now
            self._totals.failure = text
            return due

    def objects_found(self, objects: int, not_encoded: int, stage_ms: dict[str, float]) -> None:
        """A map was searched for objects; ``not_encoded`` of them were named by their labels."""
        with self._lock:
            self._totals.object_passes += 1
            self._totals.objects = objects
            self._totals.objects_not_encoded += not_encoded
            self._object_ms = stage_ms

    def objects_failed(self, text: str) -> bool:
        """A search for objects, or what names them, raised; whether that is due to be logged."""
        with self._lock:
            now = time.monotonic()
            due = now - self._totals.last_object_failure >= LOG_PERIOD
            self._totals.object_failures += 1
            self._totals.last_object_failure = now
            self._totals.object_failure = text
            return due

    def withheld(self, topic: str, why: str) -> bool:
        """A cloud was not sent on ``topic``; whether that is due to be logged."""
        with self._lock:
            now = time.monotonic()
            due = now - self._logged.get((topic, "withheld"), -math.inf) >= LOG_PERIOD
            if due:
                self._logged[topic, "withheld"] = now
            self._totals.withheld[topic] += 1
            self._totals.last_withheld = now
            self._totals.withholding = f"~/{topic} is not sent: {why}"
            return due

    def restarted(self) -> None:
        """Time began again: stamps start afresh, the counts go on."""
        with self._lock:
            self._totals.stamp = 0

    def report(self) -> Report:
        """A copy of everything counted so far; nothing is counted in it any more."""
        with self._lock:
            return replace(
                self._totals,
                inputs={
                    name: replace(
                        counts,
                        ages=self._arrivals[name].window(),
                        drops=Counter(counts.drops),
                        last_drop=dict(counts.last_drop),
                        errors=dict(counts.errors),
                    )
                    for name, counts in self._inputs.items()
                },
                stage_ms={**self._intake_ms, **self._inference_ms, **self._object_ms},
                latencies=self._latencies.window(),
                withheld=Counter(self._totals.withheld),
                time=time.monotonic(),
            )

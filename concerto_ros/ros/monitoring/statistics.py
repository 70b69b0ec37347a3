# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Counts of what the node did, by stage and by reason; safe to use from several threads."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from dataclasses import dataclass, field, replace

from concerto_ros.intake import tally
from concerto_ros.labels.prediction import MUCH_UNFAMILIAR
from concerto_ros.mapping.voxel_map import Insertion
from concerto_ros.ros.monitoring.recent_values import Recent, Window
from concerto_ros.sensors.frame import Frame

#: Reasons for drops in normal operation: the sensor is faster than ``input_rate``.
HARMLESS = frozenset({"superseded"})

#: Predictions in a row that have to look unfamiliar until a scene does.
IN_A_ROW = 3
#: Least seconds between two log lines about the same input and reason.
LOG_PERIOD = 10.0


@dataclass
class InputStatistics(tally.InputCounts):
    """Counts of the messages of one input; times are seconds of :func:`time.monotonic`.

    Attributes:
        last_received: When the newest message came in.
        ages: Seconds from the stamp of a recent message to its arrival; NaN without a stamp.
        errors: The newest error text by reason for a drop.
        last_fused: When the newest frame was added to the map.
        last_drop: When a message was last dropped, by reason.
        last_error: The newest error text.
        clipped: Points that were not used because their cloud has more than ``max_points``.
        last_clipped: When that happened last.
        ignored: Points in ``ignore_box`` or within ``ignore_radius``.
        decimation: Blocks of so many pixels each way of the newest depth image became one point
            each.
        off_lattice: Points of fused clouds that lie more than 2^20 voxels from the origin of
            ``fixed_frame``, or are not finite there.
        uncolored: Frames without colours because theirs are not decoded.
        last_uncolored: When that happened last.
        why_uncolored: What is wrong with the newest of these images or clouds.
    """

    last_received: float = -math.inf
    ages: Window = field(default_factory=Window)
    errors: dict[str, str] = field(default_factory=dict)
    last_fused: float = -math.inf
    last_drop: dict[str, float] = field(default_factory=dict)
    last_error: str = ""
    clipped: int = 0
    last_clipped: float = -math.inf
    ignored: int = 0
    decimation: int = 1
    off_lattice: int = 0
    uncolored: int = 0
    last_uncolored: float = -math.inf
    why_uncolored: str = ""


@dataclass
class Report:
    """A copy of the counts; times are seconds of :func:`time.monotonic`.

    Attributes:
        inputs: Counts by the name of the input.
        stage_ms: Milliseconds by stage, of the newest frame, prediction and search for objects.
        latency_ms: Latency of the newest prediction, from its stamp to its publication.
        latencies: Latencies of recent predictions, milliseconds.
        late: Predictions that were published after the deadline.
        last_late: When that happened last.
        points: Points of the newest fused frame.
        voxels: Voxels of the newest prediction.
        evicted: Voxels removed from the map because of ``max_voxels``.
        last_evicted: When that happened last.
        cleared: Voxels removed from the map because a sensor observed them as free.
        inferences: Predictions published.
        failures: Inferences that raised an exception.
        last_failure: When that happened last.
        failure: Text of the newest exception.
        not_finite: Times that a voxel stayed unlabelled because the output of the model for it
            was not finite.
        last_not_finite: When that happened last.
        not_finite_share: Such voxels, and all voxels, of the newest prediction that has some.
        unfamiliar: Voxels of the newest prediction that do not look like what the model was
            trained on.
        looks_unfamiliar: Whether the newest predictions do not, as a whole.
        no_word: Voxels of the newest prediction that no word matches well enough.
        outdated: Predictions and searches that were dropped because the map was cleared meanwhile.
        objects: Objects found by the newest search.
        object_passes: Searches for objects.
        object_failures: Searches, or runs of the object encoder, that raised an exception.
        objects_not_encoded: Times that an object was named by its labels instead of the encoder.
        last_object_failure: When a search or the encoder failed last.
        object_failure: Text of the newest exception.
        skipped_outputs: Number of clouds that could not be sent, by topic.
        last_skipped: When that happened last.
        skip_reason: A sentence about the newest of them.
        stamp: Newest stamp of a fused frame, nanoseconds; 0 without one.
        started: When counting began.
        time: When the copy was made.
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
    not_finite: int = 0
    last_not_finite: float = -math.inf
    not_finite_share: tuple[int, int] = (0, 0)
    unfamiliar: int = 0
    looks_unfamiliar: bool = False
    no_word: int = 0
    outdated: int = 0
    objects: int = 0
    object_passes: int = 0
    object_failures: int = 0
    objects_not_encoded: int = 0
    last_object_failure: float = -math.inf
    object_failure: str = ""
    skipped_outputs: Counter[str] = field(default_factory=Counter)
    last_skipped: float = -math.inf
    skip_reason: str = ""
    stamp: int = 0
    started: float = math.nan
    time: float = math.nan

    @property
    def drops(self) -> Counter[str]:
        """Number of dropped messages by reason, over all inputs."""
        return sum((counts.drops for counts in self.inputs.values()), Counter())


class Statistics:
    """Counts since activation.

    Args:
        inputs: Names of the inputs.

    Attributes:
        device_lost: Why the device computes nothing any more in this process; empty while it does.
    """

    def __init__(self, inputs: list[str]):
        self.device_lost = ""
        self._lock = threading.Lock()
        self._inputs = {name: InputStatistics() for name in inputs}
        self._arrivals = {name: Recent() for name in inputs}
        self._latencies = Recent()
        self._logged: dict[tuple[str, str], float] = {}
        self._unfamiliar_in_a_row = 0
        # Milliseconds by stage of the newest frame, prediction and search for objects.
        self._intake_ms: dict[str, float] = {}
        self._inference_ms: dict[str, float] = {}
        self._object_ms: dict[str, float] = {}
        #: Counts over all inputs together; :meth:`report` fills in the rest.
        self._totals = Report(started=time.monotonic())

    def received(self, source: str, count: int = 1, age: float = math.nan) -> None:
        """Count messages that came in ``age`` seconds after their stamp; an RGB-D pair is one."""
        with self._lock:
            counts = self._inputs[source]
            counts.received += count
            counts.last_received = time.monotonic()
            for _ in range(count):
                self._arrivals[source].add(age)

    def dropped(self, source: str, reason: str, text: str = "", count: int = 1) -> str:
        """Count messages that are not used.

        Returns:
            The text to log; empty if the same was logged in the last :data:`LOG_PERIOD` seconds.
        """
        with self._lock:
            counts = self._inputs[source]
            now = time.monotonic()
            text = counts.drop(reason, text, count)
            counts.last_drop[reason] = now
            if reason in HARMLESS:
                return ""
            counts.last_error = counts.errors[reason] = text
            return text if self._due(source, reason, now) else ""

    def fused(
        self,
        source: str,
        points: int,
        insertion: Insertion,
        stamp: int,
        stage_ms: dict[str, float],
    ) -> None:
        """Count a frame that was added to the map."""
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
        """Count points that were not used because their cloud has too many.

        Returns:
            Whether to log it.
        """
        with self._lock:
            counts = self._inputs[source]
            counts.clipped += points
            counts.last_clipped = now = time.monotonic()
            return self._due(source, "clipped", now)

    def used(self, source: str, frame: Frame) -> None:
        """Note how much of a message became points: those on the robot's own body do not count."""
        with self._lock:
            counts = self._inputs[source]
            counts.ignored += frame.ignored
            counts.decimation = frame.decimation

    def off_lattice(self, source: str, points: int) -> bool:
        """Count points of fused clouds beyond the lattice of the map; whether to log it."""
        with self._lock:
            self._inputs[source].off_lattice += points
            return self._due(source, "off_lattice", time.monotonic())

    def uncolored(self, source: str, why: str) -> bool:
        """Count a frame whose colour image is not decoded; whether to log it."""
        with self._lock:
            counts = self._inputs[source]
            counts.uncolored += 1
            counts.why_uncolored = why
            counts.last_uncolored = now = time.monotonic()
            return self._due(source, "uncolored", now)

    def inferred(
        self,
        voxels: int,
        latency_ms: float,
        stage_ms: dict[str, float],
        deadline: float = 0.0,
        *,
        no_word: int = 0,
    ) -> None:
        """Count a prediction that was published.

        Args:
            voxels: Its number of voxels.
            latency_ms: Milliseconds from its stamp to its publication.
            stage_ms: Milliseconds by stage.
            deadline: It is late if ``latency_ms`` is more than this many seconds; 0: never.
            no_word: Its voxels that no word matches well enough.
        """
        with self._lock:
            self._latencies.add(latency_ms)
            if deadline and not latency_ms <= 1e3 * deadline:
                self._totals.late += 1
                self._totals.last_late = time.monotonic()
            self._totals.inferences += 1
            self._totals.voxels = voxels
            self._totals.no_word = no_word
            self._totals.latency_ms = latency_ms
            self._inference_ms = stage_ms

    def failed(self, text: str) -> bool:
        """Count an inference that raised an exception; whether to log it."""
        with self._lock:
            now = time.monotonic()
            due = now - self._totals.last_failure >= LOG_PERIOD
            self._totals.failures += 1
            self._totals.last_failure = now
            self._totals.failure = text
            return due

    def not_finite(self, voxels: int, size: int) -> bool:
        """Count voxels of a prediction, of ``size``, for which the output was not finite.

        Returns:
            Whether to log it.
        """
        with self._lock:
            now = time.monotonic()
            due = now - self._logged.get(("inference", "not finite"), -math.inf) >= LOG_PERIOD
            if due:
                self._logged["inference", "not finite"] = now
            self._totals.not_finite += voxels
            self._totals.last_not_finite = now
            self._totals.not_finite_share = voxels, size
            return due

    def unfamiliar(self, voxels: int, size: int) -> bool:
        """Count voxels of a prediction, of ``size``, unlike what the model was trained on.

        A scene looks unfamiliar once more than :data:`MUCH_UNFAMILIAR` of its voxels do in
        :data:`IN_A_ROW` predictions, as the first look at a room often is from too close by, and
        until it is less than half of that, so that one at the limit does not raise and clear it
        by turns.

        Returns:
            Whether to log that it does not look familiar any more.
        """
        with self._lock:
            self._totals.unfamiliar = voxels
            before, share = self._totals.looks_unfamiliar, voxels / max(size, 1)
            limit = MUCH_UNFAMILIAR / 2 if before else MUCH_UNFAMILIAR
            self._unfamiliar_in_a_row = self._unfamiliar_in_a_row + 1 if share > limit else 0
            self._totals.looks_unfamiliar = self._unfamiliar_in_a_row >= IN_A_ROW
            raised = self._totals.looks_unfamiliar and not before
            return raised and self._due("inference", "unfamiliar", time.monotonic())

    def outdated(self) -> None:
        """Count a prediction or a search for objects of a map that was cleared meanwhile."""
        with self._lock:
            self._totals.outdated += 1

    def objects_found(self, objects: int, not_encoded: int, stage_ms: dict[str, float]) -> None:
        """Count a search for objects; ``not_encoded`` of them were named by their labels."""
        with self._lock:
            self._totals.object_passes += 1
            self._totals.objects = objects
            self._totals.objects_not_encoded += not_encoded
            self._object_ms = stage_ms

    def objects_failed(self, text: str) -> bool:
        """Count a search or an object encoder that raised an exception; whether to log it."""
        with self._lock:
            now = time.monotonic()
            due = now - self._totals.last_object_failure >= LOG_PERIOD
            self._totals.object_failures += 1
            self._totals.last_object_failure = now
            self._totals.object_failure = text
            return due

    def output_skipped(self, topic: str, why: str) -> bool:
        """Count a cloud that could not be sent on ``topic``; whether to log it."""
        with self._lock:
            now = time.monotonic()
            due = self._due(topic, "skipped", now)
            self._totals.skipped_outputs[topic] += 1
            self._totals.last_skipped = now
            self._totals.skip_reason = f"~/{topic} is not sent: {why}"
            return due

    def restarted(self) -> None:
        """Forget the newest stamp and the latencies after time went back; the counts stay."""
        with self._lock:
            self._totals.stamp, self._totals.latency_ms = 0, math.nan
            self._latencies = Recent()

    def report(self) -> Report:
        """A copy of everything counted so far."""
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
                skipped_outputs=Counter(self._totals.skipped_outputs),
                time=time.monotonic(),
            )

    def _due(self, source: str, what: str, now: float) -> bool:
        """Whether to log this: not if it was in the last :data:`LOG_PERIOD` seconds."""
        due = now - self._logged.get((source, what), -math.inf) >= LOG_PERIOD
        if due:
            self._logged[source, what] = now
        return due

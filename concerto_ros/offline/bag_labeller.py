# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One bag, from messages to labels: read -> decode -> transform -> insert -> infer -> write."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import torch

from concerto_ros.bags.input_plan import InputPlan
from concerto_ros.bags.messages import cloud_message
from concerto_ros.bags.reader import Bag
from concerto_ros.bags.writer import Write
from concerto_ros.labels.output_clouds import RECORDED_CLOUDS
from concerto_ros.labels.packed_cloud import CloudStyle
from concerto_ros.mapping.map_snapshot import MapSnapshot
from concerto_ros.objects.finding.map_objects import MapObjects
from concerto_ros.offline.bag_intake import BagIntake
from concerto_ros.offline.counts import Counts
from concerto_ros.pipeline import SemanticPipeline

#: Default length of a segment: seconds, and at least this many windows of the map, as the window
#: before a segment has to be read twice.
PART_SECONDS, PART_WINDOWS = 60.0, 10.0


class Part(NamedTuple):
    """A segment of the bag.

    Attributes:
        number: Counted from the beginning of the bag.
        begin: Log time, nanoseconds, inclusive.
        end: Log time, nanoseconds, exclusive.
        last: Whether it is the last.
    """

    number: int
    begin: int
    end: int
    last: bool


class BagLabeller:
    """Labels a bag segment by segment.

    Every segment starts with a map of the frames of the window before it, and with the state in
    which the pipeline ended the previous segment. The outputs therefore depend only on the bag,
    the plan and the segments.
    """

    def __init__(
        self,
        bag: Bag,
        plan: InputPlan,
        pipeline: SemanticPipeline,
        *,
        every: float,
        part_seconds: float = 0.0,
    ):
        """Divide a bag into segments.

        Args:
            bag: The bag.
            plan: Its inputs and settings.
            pipeline: Fuses and labels.
            every: Label the map once per this many seconds of log time, after the first frame in
                them; 0: after every frame.
            part_seconds: Length of a segment; 0: a minute, or ten windows of the map if longer.
        """
        self._bag = bag
        self._plan = plan
        self._pipeline = pipeline
        self._every = round(every * 1e9)
        self._window = round(plan.settings.window_seconds * 1e9)
        self._part = round(1e9 * part_seconds) or round(
            max(1e9 * PART_SECONDS, PART_WINDOWS * self._window)
        )
        if self._every:  # no map is labelled twice where segments meet
            self._part = math.ceil(self._part / self._every) * self._every
        look, labels = plan.settings.labels, pipeline.labels
        self._style = CloudStyle(labels.palette, look.layout, look.instances)
        self._objects = MapObjects(labels, plan.settings.objects) if look.need_objects else None
        self._topics = set(BagIntake(bag, plan, pipeline).topics)

    @property
    def message_count(self) -> int:
        """Number of messages of the inputs and transforms."""
        return sum(self._bag.topics[name].count for name in self._topics)

    def parts(self) -> Iterator[Part]:
        """Divide the bag at multiples of the length of a segment from its beginning.

        Segments without messages of the inputs are skipped, except the first: the log time of a
        recording whose clock was set jumps by years.
        """
        start = begin = self._bag.start_ns
        number = 0
        while True:
            end = begin + self._part
            later = next(self._bag.messages(self._topics, start_ns=end), None)
            if later is None:
                yield Part(number, begin, self._bag.end_ns + 1, True)
                return
            yield Part(number, begin, end, False)
            _, _, time, _ = later
            begin, number = start + (time - start) // self._part * self._part, number + 1

    def label(
        self,
        part: Part,
        memory: Mapping[str, torch.Tensor],
        write: Write,
        on_message: Callable[[], object] = lambda: None,
    ) -> tuple[Counts, dict[str, torch.Tensor]]:
        """Label one segment.

        Args:
            part: The segment.
            memory: State at the end of the previous segment; empty for the first.
            write: Called with each output message.
            on_message: Called for each message of the segment.

        Returns:
            The counts of the segment, and the state of pipeline and objects at its end.

        Raises:
            BagError: The bag is damaged.
        """
        self._pipeline.clear()
        with _InferenceThread() as inference:
            intake = BagIntake(self._bag, self._plan, self._pipeline, inference)
            self._fill_map(intake, part.begin)
            self._pipeline.load_state_dict(memory)
            if self._objects is not None:
                self._objects.restore(memory)

            counts = intake.no_counts()
            intake.count_in(counts)
            labelled, new, time = None, False, part.begin
            for topic, message_type, time, raw in self._messages(intake, part.begin, part.end):
                fused = intake.take(topic, message_type, time, raw)
                on_message()
                new |= fused
                if fused and self._slot(time) != labelled:
                    inference.run(self._infer, self._pipeline.snapshot(), time, write, counts)
                    labelled, new = self._slot(time), False
                    counts.labelled += 1
            waits = inference.wait()
            if part.last and (intake.finish() or new or waits):
                inference.run(self._infer, self._pipeline.snapshot(), time, write, counts, True)
                counts.labelled += 1
                inference.wait()
            state = self._pipeline.state_dict()
            if self._objects is not None:
                state |= self._objects.state()
            self._read_until_decided(intake, counts, part.end)
        return counts, state

    def _fill_map(self, intake: BagIntake, begin: int) -> None:
        """Fuse the frames that are in the map at ``begin``."""
        start = max(begin - self._window, self._bag.start_ns)
        intake.catch_up(start)
        for topic, message_type, time, raw in self._messages(intake, start, begin):
            intake.take(topic, message_type, time, raw)

    def _read_until_decided(self, intake: BagIntake, counts: Counts, end: int) -> None:
        """Read on until every message of a segment is fused or dropped."""
        intake.count_in(intake.no_counts())
        for topic, message_type, time, raw in self._messages(intake, end, None):
            if not intake.is_undecided(counts):
                return
            intake.take(topic, message_type, time, raw)
        intake.finish()

    def _infer(
        self, snapshot: MapSnapshot, time: int, write: Write, counts: Counts, last: bool = False
    ) -> bool:
        """Label a map and write it; return whether voxels wait for the labels of a newer map."""
        needs = {cloud.needs for cloud in RECORDED_CLOUDS}
        prediction = self._pipeline.infer(snapshot, needs)
        waits = prediction.waiting is not None
        if last and waits:  # for what does not come
            prediction, waits = self._pipeline.infer(snapshot, needs), False
        counts.not_finite += prediction.not_finite
        counts.unfamiliar += prediction.is_unfamiliar
        if self._objects is not None:
            prediction = self._objects.numbered(snapshot, prediction)
        frame = self._plan.settings.fixed_frame
        for cloud in RECORDED_CLOUDS:
            packed = cloud.pack(prediction, self._style)
            write(cloud.topic, time, cloud_message(packed, frame, prediction.stamp))
        self._pipeline.capture_graphs()
        return waits

    def _messages(
        self, intake: BagIntake, start: int, stop: int | None
    ) -> Iterator[tuple[str, str, int, bytes]]:
        return self._bag.messages(intake.topics, start_ns=start, stop_ns=stop)

    def _slot(self, time: int) -> int:
        """Return the number of the interval of ``every`` seconds; a nanosecond each if it is 0."""
        elapsed = time - self._bag.start_ns
        return elapsed // self._every if self._every else elapsed


class _InferenceThread:
    """Runs one call at a time in a thread, while the next map is filled."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "inference")
        self._running: Future | None = None

    def run(self, call: Callable, *arguments: Any) -> None:
        """Wait for the previous call, raising its error if it failed, and start a call."""
        self.wait()
        self._running = self._thread.submit(call, *arguments)

    def wait(self) -> Any:
        """Wait for the running call, raising its error if it failed.

        Returns:
            What it returned; None where no call was running.
        """
        running, self._running = self._running, None
        return None if running is None else running.result()

    def __enter__(self) -> _InferenceThread:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown()

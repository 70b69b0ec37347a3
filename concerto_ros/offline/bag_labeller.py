# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One bag, from messages to labels: read -> decode -> transform -> insert -> infer -> write."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import torch

from concerto_ros.bags.input_plan import InputPlan
from concerto_ros.bags.messages import cloud_message
from concerto_ros.bags.reader import Bag
from concerto_ros.bags.writer import Write
from concerto_ros.labels.output_clouds import RECORDED_CLOUDS
from concerto_ros.labels.packed_cloud import CloudStyle
from concerto_ros.mapping.map_snapshot import MapSnapshot
from concerto_ros.offline.bag_intake import BagIntake
from concerto_ros.offline.counts import Counts
from concerto_ros.pipeline import SemanticPipeline

#: Seconds of a bag that are labelled in one piece, and how many windows of the map at least: what
#: the map holds at the beginning of a part is read a second time.
PART_SECONDS, PART_WINDOWS = 60.0, 10.0


class Part(NamedTuple):
    """A stretch of log time, ``begin`` up to but without ``end``, nanoseconds."""

    number: int
    begin: int
    end: int
    last: bool


class BagLabeller:
    """Labels the parts of ``bag`` one after the other.

    Every part begins with a map of the frames of the window before it, and with the origin and
    colours in which the part before it ended. What comes out therefore depends on the bag, the
    plan and the cut into parts alone.

    ``every``: seconds of log time for each of which the map is labelled once, after the first
    frame in it; 0: after every frame. ``part_seconds``: 0 for a minute, or ten windows of the map
    where that is longer.
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
        self._bag = bag
        self._plan = plan
        self._pipeline = pipeline
        self._every = round(every * 1e9)
        self._window = round(plan.settings.window_seconds * 1e9)
        self._part = round(1e9 * part_seconds) or round(
            max(1e9 * PART_SECONDS, PART_WINDOWS * self._window)
        )
        if self._every:  # no map is labelled twice at a cut
            self._part = math.ceil(self._part / self._every) * self._every
        self._style = CloudStyle(pipeline.labels.palette, plan.settings.labels.layout)
        self._topics = set(BagIntake(bag, plan, pipeline).topics)

    @property
    def message_count(self) -> int:
        """Messages of the topics that are listened to."""
        return sum(self._bag.topics[name].count for name in self._topics)

    def parts(self) -> Iterator[Part]:
        """The cut of the bag, at multiples of the length of a part from its beginning.

        Where nothing of what is listened to was logged there is no part, but for the first: a
        log whose clock was set jumps by years.
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
        on_message: Callable[[], None] = lambda: None,
    ) -> tuple[Counts, dict[str, torch.Tensor]]:
        """Label one part, which goes on from the ``memory`` in which the part before it ended.

        ``write`` takes each message that comes out; ``on_message`` is called for each message of
        the part. Returns the counts of the part and the memory at its end.
        """
        self._pipeline.clear()
        with _OneAhead() as inference:
            intake = BagIntake(self._bag, self._plan, self._pipeline, inference)
            self._fill_map(intake, part.begin)
            self._pipeline.load_state_dict(memory)

            counts = intake.no_counts()
            intake.count_in(counts)
            answered, new, time = None, False, part.begin
            for topic, kind, time, raw in self._messages(intake, part.begin, part.end):
                used = intake.take(topic, kind, time, raw)
                on_message()
                new |= used
                if used and self._slot(time) != answered:
                    inference.run(self._infer, self._pipeline.snapshot(), time, write)
                    answered, new = self._slot(time), False
                    counts.labelled += 1
            if part.last and (intake.finish() or new):
                inference.run(self._infer, self._pipeline.snapshot(), time, write)
                counts.labelled += 1
            inference.wait()
            memory = self._pipeline.state_dict()
            self._decide_the_rest(intake, counts, part.end)
        return counts, memory

    def _fill_map(self, intake: BagIntake, begin: int) -> None:
        """Take what a map at ``begin`` holds."""
        start = max(begin - self._window, self._bag.start_ns)
        intake.catch_up(start)
        for topic, kind, time, raw in self._messages(intake, start, begin):
            intake.take(topic, kind, time, raw)

    def _decide_the_rest(self, intake: BagIntake, counts: Counts, end: int) -> None:
        """Read on until it is known what becomes of the messages of a part."""
        intake.count_in(intake.no_counts())
        for topic, kind, time, raw in self._messages(intake, end, None):
            if not intake.is_undecided(counts):
                return
            intake.take(topic, kind, time, raw)
        intake.finish()

    def _infer(self, snapshot: MapSnapshot, time: int, write: Write) -> None:
        prediction = self._pipeline.infer(snapshot, {cloud.needs for cloud in RECORDED_CLOUDS})
        frame = self._plan.settings.fixed_frame
        for cloud in RECORDED_CLOUDS:
            packed = cloud.pack(prediction, self._style)
            write(cloud.topic, time, cloud_message(packed, frame, prediction.stamp))

    def _messages(self, intake: BagIntake, start: int, stop: int | None):
        return self._bag.messages(intake.topics, start_ns=start, stop_ns=stop)

    def _slot(self, time: int) -> int:
        """The number of the stretch of ``every`` seconds; nanoseconds where that is 0."""
        since = time - self._bag.start_ns
        return since // self._every if self._every else since


class _OneAhead:
    """Runs one call in a thread of its own, so that the next map is filled meanwhile."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "inference")
        self._running: Future | None = None

    def run(self, call: Callable, *arguments) -> None:
        """Begin a call as soon as the one before has ended; raises what that raised."""
        self.wait()
        self._running = self._thread.submit(call, *arguments)

    def wait(self) -> None:
        """Wait for the call that runs; raises what it raised."""
        running, self._running = self._running, None
        if running is not None:
            running.result()

    def __enter__(self) -> _OneAhead:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown()

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The intake stage on a bag: decode, transform, insert, by log time instead of the clock."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from concerto_ros.bags.input_plan import Plan
from concerto_ros.bags.reader import Bag, BagError
from concerto_ros.bags.topic_discovery import TRANSFORMS
from concerto_ros.intake.placing import check_used, is_identity, place
from concerto_ros.offline.bag_inputs import Input, Pending, Transforms, open_inputs
from concerto_ros.offline.counts import Counts
from concerto_ros.pipeline import SemanticPipeline
from concerto_ros.sensors.frame import Frame
from concerto_ros.sensors.input_error import InputError
from concerto_ros.sensors.transform_tree import TransformUnavailable

#: Search back this far for a message that still holds, then twice as far, nanoseconds.
SEARCH_BACK = 1_000_000_000


class Intake:
    """Takes the messages of a log, in its order, into the map of ``pipeline``.

    As in the node, at most ``input_rate`` messages of each input are taken in a second of log
    time, the newest of each turn, and a frame waits for its transform for ``transform_timeout``.
    Turns are counted from the beginning of the bag, so that they are the same wherever reading
    begins. ``before_clear`` is called before the map is cleared.
    """

    def __init__(
        self,
        bag: Bag,
        plan: Plan,
        pipeline: SemanticPipeline,
        before_clear: Callable[[], None] = lambda: None,
    ):
        self._bag = bag
        self._settings = plan.settings
        self._pipeline = pipeline
        self._before_clear = before_clear
        self._inputs = open_inputs(plan)
        self._transforms = Transforms()
        self._counts = self.no_counts()
        self._routes: dict[str, list[tuple[Input, str]]] = defaultdict(list)
        for source in self._inputs:
            for topic, kind in source.topics:
                self._routes[topic].append((source, kind))
        tf = [name for name, topic in bag.topics.items() if topic.type == TRANSFORMS]
        self._static = [name for name in tf if name.endswith("tf_static")]
        self._moving = [name for name in tf if name not in self._static]

    @property
    def topics(self) -> list[str]:
        """What of the bag is listened to."""
        return [*self._routes, *self._static, *self._moving]

    def no_counts(self) -> Counts:
        """Counts of nothing, for these inputs."""
        return Counts.of(source.name for source in self._inputs)

    def count_in(self, counts: Counts) -> None:
        """Count in ``counts`` what becomes of the messages that come from now on."""
        self._counts = counts

    def catch_up(self, start_ns: int) -> None:
        """Take what was said before ``start_ns`` and still holds: TF and camera_info."""
        bag = self._bag
        for topic, kind, time, raw in bag.messages(self._static, stop_ns=start_ns):
            self.take(topic, kind, time, raw)
        for topic in dict.fromkeys(name for source in self._inputs for name in source.latched):
            if newest := _newest_before(bag, topic, start_ns):
                self.take(topic, bag.topics[topic].type, *newest)
        # Twice what is kept: the frames to come look up to as far back as that.
        since = start_ns - int(2e9 * Transforms.CACHE_SECONDS)
        for topic, kind, time, raw in bag.messages(
            self._moving, start_ns=max(since, bag.start_ns), stop_ns=start_ns
        ):
            self.take(topic, kind, time, raw)

    def take(self, topic: str, kind: str, time: int, raw: bytes) -> bool:
        """Take a message logged at ``time``; whether a frame went into the map."""
        self._counts.seen += 1
        try:
            message = self._bag.deserialize(raw, kind)
        except BagError as error:
            self._count_unreadable(topic, str(error))
        else:
            self._route(topic, message, time)
        return sum(self._advance(source, time) for source in self._inputs) > 0

    def is_undecided(self, counts: Counts) -> bool:
        """Whether a message that is counted in ``counts`` is still on its way."""
        return any(
            pending.counts is counts
            for source in self._inputs
            for pending in (*source.waiting, source.mailbox)
            if pending is not None
        )

    def finish(self) -> bool:
        """Nothing comes any more: whether yet a frame went into the map."""
        used = sum(self._advance(source, None) for source in self._inputs) > 0
        for source in self._inputs:
            lost = source.unpaired()
            self._counts.received(source.name, lost)
            self._counts.dropped(source.name, "unpaired", count=lost)
        return used

    def _count_unreadable(self, topic: str, text: str) -> None:
        if topic not in self._routes:
            self._counts.refused_transforms += 1
        for source, _ in self._routes.get(topic, ()):
            self._counts.received(source.name)
            self._counts.dropped(source.name, "malformed", text)

    def _route(self, topic: str, message, time: int) -> None:
        if topic not in self._routes:
            static = topic in self._static
            self._counts.refused_transforms += self._transforms.insert(message, static=static)
        for source, kind in self._routes.get(topic, ()):
            try:
                source.receive(kind, message, time, self._counts)
            except InputError as error:
                self._counts.received(source.name)
                self._counts.dropped(source.name, error.reason, str(error))

    def _advance(self, source: Input, time: int | None) -> bool:
        """Move the messages of one input as far as they can go; whether one went into the map.

        ``time`` is that of the log, None at its end.
        """
        turn = None if time is None else self._turn(time)
        if source.mailbox is not None and (turn is None or turn != source.turn):
            source.waiting.append(source.mailbox)
            source.mailbox, source.turn = None, turn
        used = False
        while source.waiting:
            pending = source.waiting[0]
            try:
                self._insert(source, pending)
                pending.counts.used(source.name)
                used = True
            except TransformUnavailable as error:
                if error.retry and time is not None and time <= self._deadline(pending):
                    break
                pending.counts.dropped(source.name, error.reason, str(error))
            except InputError as error:
                pending.counts.dropped(source.name, error.reason, str(error))
            except Exception as error:
                text = f"{type(error).__name__}: {error}"
                pending.counts.dropped(source.name, "internal", text)
            source.waiting.popleft()
        return used

    def _insert(self, source: Input, pending: Pending) -> None:
        frame = self._decoded(source, pending)
        placed, robot = place(frame, self._settings, self._transforms)
        insertion = self._pipeline.insert(placed, robot)
        check_used(insertion, frame)
        pending.counts.evicted += insertion.evicted
        pending.counts.clipped += frame.clipped

    def _decoded(self, source: Input, pending: Pending) -> Frame:
        """The frame of a message, once; admitted in the order of stamps."""
        if pending.frame is None:
            frame = source.decode(pending, self._settings, self._transforms)
            # A message without a stamp says nothing about time: the gate must not see it.
            is_identity(self._settings.fixed_frame, frame.frame_id, frame.stamp)
            if source.gate.admit(frame.stamp):
                self._restart(source)
            pending.frame = frame
        return pending.frame

    def _restart(self, current: Input) -> None:
        """Begin anew after the stamps of ``current`` went back."""
        self._before_clear()
        self._pipeline.clear()
        self._transforms.clear()
        self._counts.restarts += 1
        for source in self._inputs:
            if source is not current:
                lost = source.unpaired()
                self._counts.received(source.name, lost)
                self._counts.dropped(source.name, "restart", count=lost)
                for pending in source.clear():
                    pending.counts.dropped(source.name, "restart")

    def _turn(self, time: int) -> int:
        return int((time - self._bag.start_ns) * self._settings.input_rate // 1e9)

    def _deadline(self, pending: Pending) -> int:
        return pending.arrived + int(self._settings.transform_timeout * 1e9)


def _newest_before(bag: Bag, topic: str, stop_ns: int) -> tuple[int, bytes] | None:
    """(log time, message) of the last message of ``topic`` before ``stop_ns``."""
    back = SEARCH_BACK
    while True:
        start = max(stop_ns - back, bag.start_ns)
        newest = None
        for _, _, time, raw in bag.messages([topic], start_ns=start, stop_ns=stop_ns):
            newest = (time, raw)
        if newest is not None or start == bag.start_ns:
            return newest
        back *= 2

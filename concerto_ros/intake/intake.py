# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The way of a message into the map, the same for the node and for bags.

Take, decode, put in the order of stamps, place, insert; what fails on the way is dropped for a
reason and counted. There is no thread and no clock here: who calls says what time it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from concerto_ros.intake.inputs import Input, Pending
from concerto_ros.intake.pace import HasSettings, Pace
from concerto_ros.intake.placing import Lookup, needs_transform, place
from concerto_ros.intake.tally import Tally
from concerto_ros.mapping.voxel_map import Insertion
from concerto_ros.sensors.frame import Frame
from concerto_ros.sensors.input_error import InputError
from concerto_ros.sensors.transform_tree import TransformUnavailable


class FrameMap(Protocol):
    """What frames go into: the pipeline, or whatever else accumulates them."""

    def insert(self, frame: Frame, robot: np.ndarray) -> Insertion:
        """Fuse ``frame``, whose points are in the fixed frame."""

    def clear(self) -> None:
        """Forget every frame."""


class Intake:
    """Takes the messages of all inputs into the map.

    ``pace`` decides when a message is taken, ``tally`` counts what happens to it: that which is
    in force when the message comes. Times are nanoseconds of any clock that does not go back.
    """

    def __init__(
        self,
        inputs: Sequence[Input],
        frames: FrameMap,
        transforms: Lookup,
        parameters: HasSettings,
        pace: Pace,
        tally: Tally,
    ):
        self.inputs = inputs
        self.tally = tally
        self._map = frames
        self._transforms = transforms
        self._parameters = parameters
        self._pace = pace

    def advance(self, source: Input, now: int, *, last: bool = False) -> int:
        """Move the messages of one input as far as they can go; how many went into the map.

        ``last``: nothing comes any more that would be worth waiting for.
        """
        if source.has_mail and (last or self._pace.may_take(source, now)):
            self._take(source, now)
        fused = 0
        while source.waiting:
            pending = source.waiting[0]
            try:
                self._fuse(source, pending)
                fused += 1
            except TransformUnavailable as error:
                if error.retry and now <= pending.deadline and not last:
                    break
                pending.tally.dropped(source.name, error.reason, str(error))
            except InputError as error:
                pending.tally.dropped(source.name, error.reason, str(error))
            except Exception as error:
                text = f"{type(error).__name__}: {error}"
                pending.tally.dropped(source.name, "internal", text)
            source.waiting.popleft()
        return fused

    def restart(self, why: str, current: Input | None = None) -> None:
        """Start from scratch after time went back, with the message of ``current`` if given."""
        self._map.clear()
        self._transforms.clear()
        self.tally.restarted(why)
        for source in self.inputs:
            if source is not current:
                source.restart(why, self.tally)

    def _take(self, source: Input, now: int) -> None:
        self._pace.took(source, now)
        pending = source.take()
        pending.deadline = now + int(self._parameters.settings.transform_timeout * 1e9)
        source.waiting.append(pending)

    def _fuse(self, source: Input, pending: Pending) -> None:
        frame = self._decoded(source, pending)
        with pending.watch("transform"):
            placed, robot = place(frame, self._parameters.settings, self._transforms)
        with pending.watch("insert"):
            insertion = self._map.insert(placed, robot)
        insertion.check(frame)
        pending.tally.fused(source.name, frame, insertion, pending.watch.milliseconds)

    def _decoded(self, source: Input, pending: Pending) -> Frame:
        """The frame of a message, once; admitted in the order of stamps."""
        if pending.frame is None:
            settings = self._parameters.settings
            frame = source.decode(pending, settings, self._transforms)
            # A message without a stamp says nothing about time: the gate must not see it.
            needs_transform(settings.fixed_frame, frame.frame_id, frame.stamp)
            if source.gate.admit(frame.stamp):
                self.restart(
                    f"the stamps of {source.name} went back by more than the window", source
                )
            pending.frame = frame
        return pending.frame

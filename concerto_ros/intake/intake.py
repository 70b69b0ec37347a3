# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From a message to the map, the same for the node and for bags.

Take, decode, check the order of stamps, transform, insert; a message that fails on the way is
dropped for a reason and counted. There is no thread and no clock here: the caller passes the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from concerto_ros.intake.inputs import Input, Pending
from concerto_ros.intake.own_body import without_body
from concerto_ros.intake.pace import HasSettings, Pace
from concerto_ros.intake.placing import Lookup, needs_transform, place
from concerto_ros.intake.tally import Tally
from concerto_ros.mapping.voxel_map import Insertion
from concerto_ros.sensors.frame import Frame
from concerto_ros.sensors.input_error import InputError
from concerto_ros.sensors.transform_tree import TransformUnavailable


class FrameMap(Protocol):
    """Accumulates frames: the pipeline, or another map."""

    @property
    def voxel_size(self) -> float:
        """Metres, edge of a voxel."""

    def insert(self, frame: Frame, robot: np.ndarray) -> Insertion:
        """Fuse ``frame``, given in the fixed frame, seen while the robot was at ``robot`` (3,)."""

    def clear(self) -> None:
        """Forget every frame."""


class Intake:
    """Fuses the messages of all inputs into the map.

    Times are nanoseconds of any clock that does not go back.

    Attributes:
        inputs: The inputs.
        tally: Counts the messages that are received from now on.
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
        """Connect the inputs with the map.

        Args:
            inputs: The inputs.
            frames: The map.
            transforms: Transforms of frames at stamps.
            parameters: Holds the settings in force.
            pace: Decides when a message is taken out of its mailbox.
            tally: Counts messages as received, fused or dropped.
        """
        self.inputs = inputs
        self.tally = tally
        self._map = frames
        self._transforms = transforms
        self._parameters = parameters
        self._pace = pace

    def advance(self, source: Input, now: int, *, last: bool = False) -> int:
        """Process the messages of one input as far as possible.

        Args:
            source: The input.
            now: The time.
            last: Whether nothing follows, so that no message waits any longer.

        Returns:
            The number of frames that were fused.
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
        """Clear map, transforms and messages after time went back.

        Args:
            why: The reason to report.
            current: Input whose messages stay, as one of them is being fused.
        """
        self._map.clear()
        self._transforms.clear()
        self.tally.restarted(why)
        for source in self.inputs:
            if source is not current:
                source.restart(why, self.tally)

    def _take(self, source: Input, now: int) -> None:
        self._pace.took(source, now)
        pending = source.take()
        if pending is None:
            return
        pending.deadline = now + int(self._parameters.settings.transform_timeout * 1e9)
        source.waiting.append(pending)

    def _fuse(self, source: Input, pending: Pending) -> None:
        frame = self._decoded(source, pending)
        settings = self._parameters.settings
        with pending.watch("transform"):
            frame = without_body(frame, source.config, settings.robot_frame, self._transforms)
            placed, robot = place(frame, settings, self._transforms)
        with pending.watch("insert"):
            insertion = self._map.insert(placed, robot)
        insertion.check(frame)
        pending.tally.fused(source.name, frame, insertion, pending.watch.milliseconds)

    def _decoded(self, source: Input, pending: Pending) -> Frame:
        """Decode a message once, and check that it is in the order of stamps."""
        if pending.frame is None:
            settings = self._parameters.settings.with_voxel_size(self._map.voxel_size)
            frame = source.decode(pending, settings, self._transforms)
            # A message without a stamp must not reach the gate, which would take 0 for a time.
            needs_transform(settings.fixed_frame, frame.frame_id, frame.stamp)
            if source.gate.admit(frame.stamp):
                self.restart(
                    f"the stamps of {source.name} went back by more than the window", source
                )
            pending.frame = frame
        return pending.frame

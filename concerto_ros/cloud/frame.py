# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One sensor reading as arrays, and the error every decoder raises when it cannot make one."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

#: Why a message is not used, and what a person can do about it. The keys are the ones counted in
#: ``~/status`` and named in ``/diagnostics``.
REASONS = {
    "malformed": "the message contradicts its own layout; check the driver that publishes it",
    "unsupported": "the encoding or data type is not one this package decodes",
    "no_xyz": "the cloud has no x, y and z fields",
    "empty": "no point is finite and within range",
    "too_large": "the image declares more than 64 million pixels",
    "bad_camera_info": "the camera_info has no usable focal length or size; calibrate the camera",
    "size_mismatch": "colour and depth differ in size; turn on aligned depth",
    "not_registered": "depth is not registered to colour; turn on aligned depth",
    "unpaired": "no colour, depth and camera_info within sync_tolerance of each other",
    "no_stamp": "the stamp is zero, so no transform can be looked up for it",
    "out_of_order": "the stamp is older than the newest one of the same input",
    "outdated": "the stamp is older than the window, counted from the newest of all inputs;"
    " synchronise the clocks of the sensors",
    "restart": "time went back by more than the window; the map was cleared",
    "no_transform": "no transform into the fixed frame within transform_timeout",
    "transform_loop": "the transform tree contains a loop",
    "off_map": "no point is within window_radius of the robot and within 2^20 voxels of the origin"
    " of fixed_frame; choose a fixed_frame and a robot_frame near the sensor",
    "superseded": "a newer message of the same input arrived before this one was taken",
    "internal": "an error inside the node; see its log",
}


class InputError(ValueError):
    """A message that cannot become a :class:`Frame`.

    ``reason`` is a key of :data:`REASONS`; the text names the field, the value got and what is
    wanted.
    """

    def __init__(self, reason: str, message: str):
        if reason not in REASONS:
            raise KeyError(f"reason {reason!r} is not one of {sorted(REASONS)}")
        super().__init__(message)
        self.reason = reason


class View(Protocol):
    """What a sensor measured in each direction, and from where."""

    def moved(self, rotation: np.ndarray, translation: np.ndarray) -> View:
        """The same view in another frame: ``p -> rotation @ p + translation``."""

    def sees_through(self, points: np.ndarray, voxel_size: float) -> np.ndarray:
        """(V,) bool: whether it shows that voxels are empty now, whose mean ``points`` (V, 3) was.

        ``points`` and ``voxel_size`` are metres, in the frame the view was moved to.
        """


@dataclass(frozen=True, eq=False)
class Frame:
    """Points seen by one sensor at one time, all expressed in ``frame_id``.

    Attributes
    ----------
    points: (N, 3) float32, metres, every value finite.
    stamp: nanoseconds since the epoch of the sensor's clock.
    frame_id: the coordinate frame of ``points``, ``normals`` and ``origin`` (REP-105).
    source: name of the input in the parameters, e.g. ``front``.
    colors: (N, 3) uint8 RGB, or None where the sensor has none.
    normals: (N, 3) float32 unit vectors facing the sensor, zeros where unknown, or None.
    intensity: (N,) float32 in the sensor's own unit, or None.
    origin: (3,) float64, metres, where the sensor was.
    view: what the sensor saw through, or None where that is not known.
    clipped: points of the message left out because it holds more than ``max_points``.
    """

    points: np.ndarray
    stamp: int
    frame_id: str
    source: str = ""
    colors: np.ndarray | None = None
    normals: np.ndarray | None = None
    intensity: np.ndarray | None = None
    origin: np.ndarray = field(default_factory=lambda: np.zeros(3))
    view: View | None = None
    clipped: int = 0

    def __len__(self) -> int:
        return len(self.points)

    def transformed(self, rotation: np.ndarray, translation: np.ndarray, frame_id: str) -> Frame:
        """The same reading in another frame: ``p -> rotation @ p + translation``.

        ``rotation`` is (3, 3) and ``translation`` (3,), both float64.
        """
        turn = np.ascontiguousarray(rotation.T, dtype=np.float32)
        return replace(
            self,
            points=self.points @ turn + translation.astype(np.float32),
            normals=None if self.normals is None else self.normals @ turn,
            origin=rotation @ self.origin + translation,
            view=None if self.view is None else self.view.moved(rotation, translation),
            frame_id=frame_id,
        )


@dataclass(frozen=True, eq=False)
class Reading:
    """A message's own points, in its own frame and order.

    Attributes
    ----------
    points: (N, 3) float32, metres; may hold values that are not finite.
    shape: (height, width) of the message, N in all.
    stamp: nanoseconds.
    frame_id: the coordinate frame of ``points``.
    rotation, translation: (3, 3) and (3,) float64, ``frame_id`` to the fixed frame.
    """

    points: np.ndarray
    shape: tuple[int, int]
    stamp: int
    frame_id: str
    rotation: np.ndarray
    translation: np.ndarray

    def placed(self) -> np.ndarray:
        """(N, 3) float32, the points in the fixed frame, by the arithmetic of
        :meth:`Frame.transformed`."""
        turn = np.ascontiguousarray(self.rotation.T, dtype=np.float32)
        with np.errstate(invalid="ignore", over="ignore"):
            return self.points @ turn + self.translation.astype(np.float32)

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The reasons for which messages are dropped, and the error that every decoder raises."""

from __future__ import annotations

#: Why a message is dropped and what to do about it. The keys are counted in ``~/status`` and named
#: in ``/diagnostics``.
REASONS = {
    "malformed": "the message contradicts its own layout; check the driver that publishes it",
    "unsupported": "the encoding or data type is not one this package decodes",
    "no_xyz": "the cloud has no x, y and z fields",
    "empty": "no point is finite and within range",
    "too_large": "the image declares more than 64 million pixels",
    "bad_camera_info": "the camera_info has no usable focal length, or not the size of its image;"
    " calibrate the camera, or use the camera_info of this very image",
    "size_mismatch": "colour and depth differ in size; turn on aligned depth",
    "not_registered": "depth is not registered to colour; turn on aligned depth",
    "unpaired": "no colour, depth and camera_info within sync_tolerance of each other",
    "no_stamp": "the stamp is zero, so no transform can be looked up for it",
    "out_of_order": "the stamp is older than the newest one of the same input",
    "outdated": "the stamp is older than the window, counted from the newest of all inputs;"
    " synchronise the clocks of the sensors",
    "restart": "time went back; the map was cleared",
    "no_transform": "no transform into the fixed frame within transform_timeout",
    "transform_loop": "the transform tree contains a loop",
    "off_map": "no point is within window_radius of the robot and within 2^20 voxels of the origin"
    " of fixed_frame; choose a fixed_frame and a robot_frame near the sensor",
    "superseded": "a newer message of the same input arrived before this one was taken",
    "internal": "an error inside the node; see its log",
}


class InputError(ValueError):
    """A message that cannot become a :class:`~concerto_ros.sensors.frame.Frame`.

    The text names the field, the value got and what is expected.

    Attributes:
        reason: A key of :data:`REASONS`.
    """

    def __init__(self, reason: str, message: str):
        if reason not in REASONS:
            raise KeyError(f"reason: got {reason!r}, expected one of {sorted(REASONS)}")
        super().__init__(message)
        self.reason = reason

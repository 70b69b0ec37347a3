# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Simulated furnished rooms, an RGB-D camera driven through them, and its ground truth."""

from __future__ import annotations

from concerto_ros.sim.depth_noise import SensorNoise
from concerto_ros.sim.mesh import CLASSES
from concerto_ros.sim.rgbd_camera import RgbdCamera, RgbdImage, look_at
from concerto_ros.sim.room import Room
from concerto_ros.sim.stereo import StereoNoise
from concerto_ros.sim.time_of_flight import TimeOfFlightNoise
from concerto_ros.sim.trajectory import camera_pose, drive, trajectory

__all__ = [
    "CLASSES",
    "RgbdCamera",
    "RgbdImage",
    "Room",
    "SensorNoise",
    "StereoNoise",
    "TimeOfFlightNoise",
    "camera_pose",
    "drive",
    "look_at",
    "trajectory",
]

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Intensity in place of colours, for models that were trained so: LiDARs see no colours.

It takes their place in the map, in files and in training, so that encoders keep their input.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from concerto_ros.sensors.frame import Frame


def grey_of(intensity: np.ndarray, white: float) -> np.ndarray:
    """Convert intensity to grey.

    Args:
        intensity: (N,) in the sensor's own unit; NaN is black.
        white: Intensity that is white, as are all above it; more than 0.

    Returns:
        (N, 3) uint8 RGB with equal channels.
    """
    with np.errstate(over="ignore"):
        grey = np.nan_to_num(intensity.astype(np.float64) * (255 / white), posinf=255, neginf=0)
    return np.repeat(np.rint(np.clip(grey, 0, 255)).astype(np.uint8)[:, None], 3, axis=1)


def with_intensity_shown(frame: Frame, white: float) -> Frame:
    """Return the frame with its intensity as colours.

    Args:
        frame: Points with or without intensity.
        white: As for :func:`grey_of`; 0: the frame keeps its own colours.

    Returns:
        The frame; without intensity it has no colours, and ``uncolored`` says why.
    """
    if not white:
        return frame
    if frame.intensity is None:
        why = "the cloud has no intensity, which the parameter intensity_white asks for"
        return replace(frame, colors=None, uncolored=why)
    return replace(frame, colors=grey_of(frame.intensity, white), uncolored="")

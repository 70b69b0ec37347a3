# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A frame made of plain arrays instead of a sensor message."""

from __future__ import annotations

import numpy as np

from concerto_ros.sensors.frame import Frame


def single_frame(
    points: np.ndarray,
    colors: np.ndarray | None,
    normals: np.ndarray | None,
    origin: np.ndarray | None,
) -> tuple[Frame, np.ndarray]:
    """Make a frame of the finite points of a cloud.

    Args:
        points: (N, 3), metres.
        colors: (N, 3) RGB in 0..255, or None.
        normals: (N, 3) unit vectors, or None.
        origin: (3,), metres, where the sensor was; None: the middle of the cloud.

    Returns:
        The frame of n points, and their rows (n,) int64 in ``points``.

    Raises:
        ValueError: An array has another shape, or no point is finite.
    """
    points, colors, normals = _checked_cloud(points, colors, normals)
    finite = np.flatnonzero(np.isfinite(points).all(axis=1))
    if len(finite) == 0:
        raise ValueError(
            f"points: got {len(points)} points, none of them finite, expected at least one"
        )
    seen = points[finite]
    if origin is None:
        origin = (seen.min(axis=0) + seen.max(axis=0)) / 2
    frame = Frame(
        points=seen,
        stamp=0,
        frame_id="",
        colors=None if colors is None else colors[finite],
        normals=None if normals is None else normals[finite],
        origin=np.asarray(origin, np.float64),
    )
    return frame, finite


def _checked_cloud(
    points: np.ndarray, colors: np.ndarray | None, normals: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Check the shapes; the arrays as float32, uint8 and float32."""
    points = np.asarray(points)
    if points.ndim != 2 or points.shape[1] != 3 or len(points) == 0:
        raise ValueError(f"points: got shape {points.shape}, expected (N, 3) with N > 0")
    for name, value in (("colors", colors), ("normals", normals)):
        if value is not None and np.shape(value) != points.shape:
            raise ValueError(
                f"{name}: got shape {np.shape(value)}, expected {points.shape} as points"
            )
    return (
        points.astype(np.float32),
        None if colors is None else np.clip(np.nan_to_num(colors), 0, 255).astype(np.uint8),
        None if normals is None else np.nan_to_num(np.asarray(normals, np.float32)),
    )

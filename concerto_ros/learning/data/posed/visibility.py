# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which points a posed image sees, by OpenScene's rule.

Peng et al., "OpenScene: 3D Scene Understanding with Open Vocabularies", CVPR 2023: a point is seen
by a pixel where its depth agrees with the depth image, within a tolerance in proportion to the
depth, and the pixel is not at the border of the image.
"""

from __future__ import annotations

import numpy as np

from concerto_ros.posed.scene import PosedFrame
from concerto_ros.sensors.free_space import into_view

#: Pixels of the colour image along its border that see nothing: 2D features are poor there.
BORDER = 10


def seen_pixels(posed: PosedFrame, points: np.ndarray, tolerance: float) -> np.ndarray:
    """Return the pixel of the colour image that sees each point, of those that one sees.

    Where depth is not registered to colour, a surface that only the depth camera sees counts as
    seen by the pixel in front of which it lies: with cameras a few centimetres apart, at edges.

    Args:
        posed: The image.
        points: (N, 3), metres, in the frame of the scene.
        tolerance: Difference between the depth of a point and that of the image, as a fraction of
            the latter.

    Returns:
        (M, 3) int32 rows [x, y, point]: column and row of the pixel, and the row in ``points``,
        ascending. A point is in at most one row.
    """
    view = posed.view
    seen = into_view(view, points)
    column, row = view.camera.project(*seen)
    rows = np.flatnonzero(_inside(column, row, view.depth.shape, 0))
    x, y = _pixels(column[rows], row[rows])
    reading = view.depth[y, x]
    with np.errstate(invalid="ignore"):
        agrees = np.abs(seen[2, rows] - reading) <= tolerance * reading
    rows, x, y = rows[agrees], x[agrees], y[agrees]
    size = posed.image.shape[:2]
    if posed.depth_to_image is not None or posed.camera != view.camera:
        in_camera = seen[:, rows]
        if posed.depth_to_image is not None:
            rotation = posed.depth_to_image.rotation.astype(np.float32)
            translation = posed.depth_to_image.translation.astype(np.float32)
            in_camera = rotation @ in_camera + translation[:, None]
        column, row = posed.camera.project(*in_camera)
        inside = _inside(column, row, size, 0)
        rows, (x, y) = rows[inside], _pixels(column[inside], row[inside])
    inner = _inside(x, y, size, BORDER)
    return np.stack([x[inner], y[inner], rows[inner]], axis=1).astype(np.int32)


def _inside(column: np.ndarray, row: np.ndarray, size: tuple[int, ...], border: int) -> np.ndarray:
    """Whether pixels are at least ``border`` pixels inside an image of ``size``; not for NaN."""
    height, width = size
    low, high = border - 0.5, border + 0.5
    with np.errstate(invalid="ignore"):
        across = (column >= low) & (column < width - high)
        return across & (row >= low) & (row < height - high)


def _pixels(column: np.ndarray, row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.rint(column).astype(np.int64), np.rint(row).astype(np.int64)

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which pixels of a depth image become points, where not all of them do."""

from __future__ import annotations

import math
from itertools import product

import numpy as np

from concerto_ros.sensors.camera_model import CameraModel

#: A reading this much farther away than another one is clearly behind it: a fraction of the
#: distance, and metres.
BEHIND_FRACTION, BEHIND_METRES = 0.05, 0.02

#: Metres up to which at least two of the pixels that are used fall on each edge of a voxel of a
#: wall that faces the camera: where the first Kinect's steps of depth are as large as a voxel of
#: this many metres. They grow with the square of the distance, so larger voxels are filled
#: farther; smaller ones as far, as nearer things matter to a robot, too.
DENSE_TO, DENSE_VOXEL = 3.75, 0.04


def sufficient_decimation(camera: CameraModel, voxel_size: float) -> int:
    """Return the decimation of a depth image that costs the map next to nothing.

    Neighbouring pixels of a camera near a wall fall into the same voxel by the hundred, with
    nearly the same noise.

    Args:
        camera: of the depth image.
        voxel_size: metres.

    Returns:
        at least 1, for :func:`~concerto_ros.sensors.images.depth_frame.depth_frame`.
    """
    dense_to = DENSE_TO * max(1.0, math.sqrt(voxel_size / DENSE_VOXEL))
    return max(1, int(voxel_size * min(camera.fx, camera.fy) / (2 * dense_to)))


def used_pixels(metres: np.ndarray, step: int) -> np.ndarray:
    """Return the pixel of each block of ``step`` x ``step`` that becomes a point.

    It is the middle one. Where that has no reading, or lies clearly behind others of its block,
    it is the nearest to the middle of those that do not: a pole or cable between the middles stays
    in the map. A single reading before all others of its block does not count, as it may lie in
    the air between two surfaces.

    Args:
        metres: (H, W) depth, infinite where there is no reading.
        step: edge of a block, 1 to the shorter edge of the image.

    Returns:
        (h, w) indices of the raveled image, of the blocks whose middle is in the image.
    """
    height, width = metres.shape
    rows, columns = (np.arange(step // 2, size, step) for size in (height, width))
    used = rows[:, None] * width + columns
    if step == 1:
        return used
    blocks = _blocks(metres, step, used.shape)
    nearest, second = np.full((2, *used.shape), np.inf, np.float32)
    for i, j in product(range(step), repeat=2):
        reading = blocks[:, i, :, j]
        np.minimum(second, np.maximum(nearest, reading), out=second)
        np.minimum(nearest, reading, out=nearest)
    middle = blocks[:, step // 2, :, step // 2]
    alone = (second > behind(nearest)) & np.isfinite(middle)
    farthest = behind(np.where(alone, middle, nearest))

    row, column = np.nonzero(middle > farthest)
    options = blocks[row, :, column, :].reshape(-1, step * step) <= farthest[row, column, None]
    down, across = np.divmod(np.arange(step * step), step)
    order = np.argsort((down - step // 2) ** 2 + (across - step // 2) ** 2, kind="stable")
    chosen = order[options[:, order].argmax(axis=1)]
    used[row, column] = (row * step + down[chosen]) * width + column * step + across[chosen]
    return used


def behind(metres: np.ndarray) -> np.ndarray:
    """Return the distances beyond which readings lie clearly behind others, float32, metres."""
    return metres * np.float32(1 + BEHIND_FRACTION) + np.float32(BEHIND_METRES)


def _blocks(metres: np.ndarray, step: int, count: tuple[int, ...]) -> np.ndarray:
    """Divide an image into (h, step, w, step); infinite beyond its border."""
    rows, columns = count[0] * step, count[1] * step
    whole = metres[:rows, :columns]
    if whole.shape != (rows, columns):
        missing = ((0, rows - whole.shape[0]), (0, columns - whole.shape[1]))
        whole = np.pad(whole, missing, constant_values=np.inf)
    return whole.reshape(count[0], step, count[1], step)

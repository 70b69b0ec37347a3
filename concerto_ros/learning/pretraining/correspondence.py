# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From pixels that see points to places among the patches of an image model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Crop:
    """The part of images that an image model gets, and its patches.

    Attributes:
        left: First column, pixels; below 0 where an image is smaller than its grid.
        top: First row, pixels.
        width: Pixels.
        height: Pixels.
        grid: Rows and columns of patches in it.
    """

    left: int
    top: int
    width: int
    height: int
    grid: tuple[int, int]


def central_crop(image: tuple[int, int], grid: tuple[int, int]) -> Crop:
    """The largest crop in the middle of an image with whole numbers of pixels for its patches.

    Args:
        image: Width and height of the image, pixels.
        grid: Rows and columns of patches, which are square.
    """
    width, height = image
    rows, columns = grid
    pixels = max(min(width // columns, height // rows), 1)
    edges = columns * pixels, rows * pixels
    left, top = (int((whole - part) / 2) for whole, part in zip(image, edges, strict=True))
    return Crop(left, top, *edges, grid)


def patches_of_points(
    files: Sequence[np.ndarray], points: int, crops: Sequence[Crop]
) -> np.ndarray:
    """Where among the patches of each image a point is seen.

    Args:
        files: For each of I images (M, 3) rows [x, y, point], pixels; [[-1, -1, -1]]: none.
        points: Number of points, N.
        crops: The crop of each image.

    Returns:
        (N, I, 2) float32 fractional row and column in patches, -1 where a point is not seen. Of
            several pixels the one with the greatest row counts, of these that with the greatest
            column.
    """
    places = np.full((points, len(files), 2), -1, np.float32)
    for image, (pixels, crop) in enumerate(zip(files, crops, strict=True)):
        x, y, point = np.asarray(pixels, np.float64).reshape(-1, 3).T
        inside = (point >= 0) & (x >= crop.left) & (x < crop.left + crop.width)
        inside &= (y >= crop.top) & (y < crop.top + crop.height)
        # Not the crop alone has edges: a file marks what is not seen by -1.
        inside &= (x >= 0) & (y >= 0)
        rows, columns = crop.grid
        row = (y[inside] - crop.top) * rows / crop.height
        column = (x[inside] - crop.left) * columns / crop.width
        point = point[inside].astype(np.int64)
        found = np.stack([row, column], axis=1)
        if np.any(np.diff(point) <= 0):  # a point may have several pixels
            order = np.lexsort((column, row))  # the last of a point's is its greatest
            point, found = point[order], found[order]
        places[point, image] = found
    return places

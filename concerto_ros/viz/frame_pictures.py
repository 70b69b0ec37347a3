# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Camera images beside what was predicted of their pixels, in rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

#: Pixels between two images, and the width of each.
GAP, WIDTH = 6, 400


def painted(image: np.ndarray, rows: np.ndarray, rgb: np.ndarray) -> np.ndarray:
    """Return an image with the colour of a prediction at each pixel that has one.

    All others are the image itself, grey and dark.

    Args:
        image: (H, W, 3) uint8 RGB.
        rows: (H, W) the row of the prediction that each pixel shows; -1: none.
        rgb: (N, 3) uint8, the colours of the prediction.
    """
    grey = np.rint(0.4 * image.mean(axis=2, keepdims=True)).astype(np.uint8)
    return np.where(rows[..., None] >= 0, rgb[rows], np.broadcast_to(grey, image.shape))


def sheet(images: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """Arrange images in rows, each scaled to one width.

    Args:
        images: Rows of (H, W, 3) uint8 images; all rows have as many.

    Returns:
        (H, W, 3) uint8, white between the images.
    """
    import cv2

    lines = []
    for row in images:
        height = max(round(WIDTH * image.shape[0] / image.shape[1]) for image in row)
        line = np.full((height, len(row) * (WIDTH + GAP) - GAP, 3), 255, np.uint8)
        for column, image in enumerate(row):
            how = cv2.INTER_AREA if image.shape[1] > WIDTH else cv2.INTER_NEAREST
            size = (WIDTH, round(WIDTH * image.shape[0] / image.shape[1]))
            left = column * (WIDTH + GAP)
            line[: size[1], left : left + WIDTH] = cv2.resize(image, size, interpolation=how)
        lines += [np.full((GAP, line.shape[1], 3), 255, np.uint8), line]
    return np.concatenate(lines[1:])

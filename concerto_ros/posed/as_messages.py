# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Images and intrinsics of files as the messages that the RGB-D way of the node takes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from concerto_ros.files.data_error import DataError
from concerto_ros.files.error_text import in_words


def header_of(index: int) -> SimpleNamespace:
    """A header; a second passes from frame to frame, as the order counts and not the time."""
    return SimpleNamespace(stamp=SimpleNamespace(sec=index, nanosec=0), frame_id="camera")


def file_message(path: Path, header: SimpleNamespace) -> SimpleNamespace:
    """An image file as a CompressedImage. Raises DataError where it cannot be read."""
    try:
        return SimpleNamespace(header=header, format=path.suffix[1:], data=path.read_bytes())
    except OSError as error:
        raise DataError(in_words(error)) from None


def color_message(rgb: np.ndarray, header: SimpleNamespace) -> SimpleNamespace:
    """An (H, W, 3) uint8 RGB image as an Image."""
    return _image(np.ascontiguousarray(rgb, np.uint8), "rgb8", header)


def depth_message(metres: np.ndarray, header: SimpleNamespace) -> SimpleNamespace:
    """An (H, W) depth image in metres as an Image."""
    return _image(np.ascontiguousarray(metres, "<f4"), "32FC1", header)


def camera_info(
    matrix: np.ndarray,
    size: tuple[int, ...],
    model: str = "",
    distortion: Sequence[float] = (),
) -> SimpleNamespace:
    """Intrinsics as a CameraInfo.

    Args:
        matrix: (3, 3), pixels; the middle of the first pixel is at (0, 0).
        size: (height, width), pixels.
        model: ``distortion_model`` of the message; empty: no distortion.
        distortion: The coefficients, in the order of the model.
    """
    return SimpleNamespace(
        **{"header": header_of(0), "height": size[0], "width": size[1]},
        **{"k": matrix.ravel().tolist(), "d": list(distortion), "p": [0.0] * 12},
        **{"distortion_model": model, "binning_x": 0, "binning_y": 0},
        roi=SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0),
    )


def _image(pixels: np.ndarray, encoding: str, header: SimpleNamespace) -> SimpleNamespace:
    return SimpleNamespace(
        **{"header": header, "height": pixels.shape[0], "width": pixels.shape[1]},
        **{"encoding": encoding, "is_bigendian": 0, "step": pixels.nbytes // len(pixels)},
        data=pixels.tobytes(),
    )

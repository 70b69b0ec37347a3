# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The frames of a video, decoded by OpenCV's FFmpeg."""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from concerto_ros.files.data_error import DataError
from concerto_ros.sensors.images.raster import checked_size
from concerto_ros.sensors.input_error import InputError

#: Endings of video files.
ENDINGS = (".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm")

log = logging.getLogger(__name__)


class VideoFile:
    """The frames of a video; they are named by their number in it: ``000000`` is the first.

    A frame is turned as the file says, as of a phone that was held upright. Frames are decoded
    in the order of the video; to read an earlier one begins anew.

    Args:
        path: The file.

    Attributes:
        fps: Frames per second, as the file says; 0 where it does not.

    Raises:
        DataError: It is no video, or holds no frame that can be decoded.
    """

    def __init__(self, path: Path):
        self.path = path
        with path.open("rb"):  # an error of the file system says more than FFmpeg's
            pass
        capture = self._open()
        self.fps = float(capture.get(_cv2().CAP_PROP_FPS))
        promised = int(capture.get(_cv2().CAP_PROP_FRAME_COUNT))
        seconds = []
        while capture.grab():
            seconds.append(capture.get(_cv2().CAP_PROP_POS_MSEC) / 1000)
        capture.release()
        if not seconds:
            raise DataError(
                f"{path}: no frame of the video can be decoded: it is damaged or empty"
            )
        if len(seconds) < promised - 1:  # containers count one too many at times
            log.warning(
                "%s: %d of %d frames can be decoded, the video is damaged or cut short",
                path,
                len(seconds),
                promised,
            )
        self.seconds = np.array(seconds)
        self._numbers: Sequence[int] = range(len(seconds))
        self.names: Sequence[str] = tuple(f"{number:06d}" for number in self._numbers)
        self._capture: Any = None
        self._next = 0

    def read(self, index: int) -> np.ndarray:
        """Decode a frame: (H, W, 3) uint8 RGB. Raises InputError where it cannot be decoded."""
        number = self._numbers[index]
        if self._capture is None or number < self._next:
            self._capture, self._next = self._open(), 0
        while self._next < number and self._capture.grab():
            self._next += 1
        decoded, image = self._capture.read()
        if self._next != number or not decoded:
            self._capture = None
            raise InputError("malformed", f"{self.path}: frame {number} cannot be decoded")
        self._next += 1
        checked_size(image.shape[1], image.shape[0])
        return np.ascontiguousarray(image[..., ::-1])

    def files(self, index: int) -> tuple[Path, ...]:
        """The video."""
        return (self.path,)

    def thinned(self, indices: Sequence[int]) -> VideoFile:
        """Only these frames."""
        chosen = copy.copy(self)
        chosen._numbers = [self._numbers[index] for index in indices]
        chosen.names = tuple(self.names[index] for index in indices)
        chosen.seconds = self.seconds[list(indices)]
        chosen._capture = None
        return chosen

    def _open(self) -> Any:
        capture = _cv2().VideoCapture(str(self.path), _cv2().CAP_FFMPEG)
        if not capture.isOpened():
            raise DataError(
                f"{self.path}: cannot be opened as a video: it is damaged, cut short (an .mp4 ends"
                " with its table of contents) or of a codec that OpenCV's FFmpeg does not know"
            )
        return capture


def _cv2() -> Any:
    import cv2

    return cv2

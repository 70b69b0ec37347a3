# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Posed RGB-D images of a recording: its cameras, placed by TF."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from concerto_ros.bags.reader import BagError
from concerto_ros.files.digest import digest
from concerto_ros.learning.data.formats.recording import Recording
from concerto_ros.learning.data.label_map import DataError
from concerto_ros.posed.scene import PosedFrame, PosedScene, UnusableFrame
from concerto_ros.sensors.camera_model import CameraModel
from concerto_ros.sensors.free_space import DepthView
from concerto_ros.sensors.images import decode_color
from concerto_ros.sensors.images.topics import is_rectified
from concerto_ros.sensors.input_error import InputError
from concerto_ros.sensors.pairing import Pair
from concerto_ros.settings.inputs import CameraInput
from concerto_ros.settings.presets import Preset


class BagScene(PosedScene):
    """The RGB-D images of a bag that TF places in the map's frame.

    A frame is named ``<camera>/<stamp>``: ``camera0`` is the first camera that
    :func:`~concerto_ros.bags.topic_discovery.find_inputs` finds, and the stamp is that of the
    colour image in nanoseconds. Points are relative to a whole metre near the first camera.

    Args:
        path: The bag.
        preset: Range limits of the sensor.
        map_frame: Frame of the map; None: the root of the TF tree above the cameras.

    Raises:
        DataError: The bag has no colour images with depth, or TF places none.
        BagError: It cannot be read.
    """

    def __init__(self, path: Path, preset: Preset, map_frame: str | None = None):
        self._recording = Recording(path, map_frame, 0.0, preset)
        self.name = path.name
        moments = {
            f"{moment.input.name}/{moment.color_stamp}": moment
            for moment in self._recording.moments
            if moment.color_stamp is not None
        }
        unplaced, why = self._recording.unplaced
        if not moments:
            fault = f"none of {unplaced} frames can be placed: {why}" if unplaced else "has none"
            raise DataError(
                f"{path}: {fault}, expected colour images with depth images of the same camera and"
                " transforms to a fixed frame"
            )
        self.skipped: Counter[str] = Counter({"unplaced": unplaced})
        self._moments = moments
        self.frames: Sequence[str] = tuple(moments)
        first = next(iter(moments.values())).map_from_sensor.translation
        self._corner = np.floor(np.asarray(first, np.float64))

    def thinned(self, indices: Sequence[int]) -> BagScene:
        """The scene with only these frames."""
        chosen = copy.copy(self)
        chosen.frames = tuple(self.frames[index] for index in indices)
        return chosen

    def identity(self) -> dict[str, Any]:
        """Stamps and poses of the frames, and the ranges of the sensor."""
        moments = [self._moments[name] for name in self.frames]
        poses = [moment.map_from_sensor for moment in moments]
        preset = self._recording.preset
        return {
            "frames": digest(
                [*self.frames, *(part for p in poses for part in (p.rotation, p.translation))]
            ),
            "map frame": self._recording.map_frame,
            "sensor ranges": [preset.min_range, preset.max_range],
        }

    def read(self, index: int) -> PosedFrame:
        """Read a frame; see :meth:`PosedScene.read`."""
        name = self.frames[index]
        moment = self._moments[name]
        try:
            frame = self._recording.read(moment, self._corner)
            pair: Pair = self._recording.taken(moment)[1].message
            image = decode_color(pair.color)
            assert isinstance(moment.input, CameraInput)  # as it has a colour image
            rectified = is_rectified(moment.input.color_topic)
            camera = CameraModel.from_info(pair.info, rectified=rectified)
        except (InputError, BagError) as error:
            raise UnusableFrame(f"{self._recording.path}: frame {name}: {error}") from None
        if not isinstance(frame.view, DepthView):
            raise UnusableFrame(f"{self._recording.path}: frame {name}: has no depth image")
        transform = moment.depth_to_color
        return PosedFrame(name, replace(frame, original=None), image, camera, transform)

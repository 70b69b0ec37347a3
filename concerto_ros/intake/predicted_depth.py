# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The input of a camera without a depth sensor: a model predicts the depth of each image."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from concerto_ros.intake.inputs import Guard, Input, InputTopic, Pending, image_topic
from concerto_ros.intake.placing import Lookup
from concerto_ros.intake.tally import Tally
from concerto_ros.posed.as_messages import camera_info, color_message, depth_message
from concerto_ros.posed.depth_models.loading import load_depth_model
from concerto_ros.posed.matrices import pinhole_matrix, resized
from concerto_ros.posed.views import resize_image
from concerto_ros.ptv3.kernels.usable_device import device_named
from concerto_ros.sensors.camera_model import CameraCache
from concerto_ros.sensors.frame import Frame
from concerto_ros.sensors.images import decode_color
from concerto_ros.sensors.images.depth_frame import depth_frame
from concerto_ros.sensors.images.topics import is_rectified
from concerto_ros.sensors.input_error import InputError
from concerto_ros.sensors.pairing import Pair
from concerto_ros.settings.field import SettingsError
from concerto_ros.settings.inputs import CameraInput
from concerto_ros.settings.settings import Settings


class PredictedDepthInput(Input):
    """Colour and camera_info topics, and a model of metric depth.

    Raises:
        SettingsError: The model cannot be loaded.
    """

    config: CameraInput

    def __init__(self, config: CameraInput, settings: Settings, guard: Guard = nullcontext):
        super().__init__(config, settings, guard)
        self.topics = (
            InputTopic(config.info_topic, "info", "sensor_msgs/msg/CameraInfo"),
            image_topic(config.color_topic, "color"),
        )
        self.held = {"info": None}
        self._rectified = is_rectified(config.color_topic)
        self._cameras = CameraCache()
        field = f"cameras.{config.name}.depth_model"
        try:
            self._model = load_depth_model(config.depth_model, device_named(settings.device))
        except (ValueError, ImportError) as error:
            raise SettingsError(f"{field}: {error}") from None

    def decode(self, pending: Pending, settings: Settings, transforms: Lookup) -> Frame:
        """Implement :meth:`Input.decode`; the image is as large as the predicted depth."""
        pair = pending.message
        with pending.watch("decode"):
            image = decode_color(pair.color)
            camera = self._cameras.from_info(pair.info, rectified=self._rectified)
            if camera.model != "pinhole":
                raise InputError(
                    "unsupported",
                    f"distortion_model: got {camera.model}, expected a rectified image for"
                    f" {self.config.depth_model}",
                )
            if image.shape[:2] != (camera.height, camera.width):
                raise InputError(
                    "bad_camera_info",
                    f"colour image: got {image.shape[1]}x{image.shape[0]} pixels, expected"
                    f" {camera.width}x{camera.height} as in its camera_info",
                )
        matrix = pinhole_matrix(camera.fx, camera.fy, camera.cx, camera.cy)
        with pending.watch("depth_model"):
            metres = self._model([image], matrix[None]).depth[0]
        size, header = metres.shape, pair.color.header
        frame = depth_frame(
            color_message(resize_image(image, size), header),
            depth_message(metres, header),
            camera_info(resized(matrix, image.shape[:2], size), size),
            source=self.name,
            min_range=settings.min_range,
            max_range=settings.max_range,
            no_reading=(),
            decimation=self.config.decimation,
            voxel_size=settings.voxel_size,
            original=settings.labels.points == "input",
            watch=pending.watch,
        )
        return frame if self.config.clears else replace(frame, view=None)

    def parts(self, message: Pair) -> dict[str, Any]:
        """Return the colour image."""
        return {"color": message.color}

    def _complete(self, kind: str, message: Any, tally: Tally) -> Pair | None:
        if kind == "info":
            self.held["info"] = message
            return None
        if self.held["info"] is None:
            tally.received(self.name)
            tally.dropped(self.name, "unpaired", f"no camera_info on {self.config.info_topic} yet")
            return None
        return Pair(message, message, self.held["info"])

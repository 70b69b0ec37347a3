# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Depth Anything 3 (Lin et al., 2025, arXiv 2511.10647), by its own package."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from concerto_ros.files.data_error import DataError
from concerto_ros.posed.depth_models.depth_model import PublishedModel
from concerto_ros.posed.geometry import Geometry
from concerto_ros.posed.matrices import resized, to_world
from concerto_ros.settings.published_models import PublishedDepthModel

#: Pixels of focal length at which the output of the metric model is metres, by its authors.
METRIC_FOCAL = 300.0


class DepthAnything3(PublishedModel):
    """A model of Depth Anything 3; see :class:`~.depth_model.DepthModel`.

    Args:
        published: Which one.
        source: The folder of its files.
        device: Where it runs.

    Raises:
        DataError: The files cannot be read.
    """

    def __init__(self, published: PublishedDepthModel, source: Path, device: torch.device | str):
        from depth_anything_3.api import DepthAnything3 as Model

        super().__init__(published, source)
        self._model = self._load(Model).to(device)

    def __call__(
        self,
        images: Sequence[np.ndarray],
        intrinsics: np.ndarray | None = None,
        poses: np.ndarray | None = None,
    ) -> Geometry:
        """Predict; the metric model of single images needs intrinsics."""
        if not self.predicts_poses:
            return self._single(images, intrinsics)
        given = {}
        if poses is not None and len(images) > 1:
            given = {"extrinsics": to_world(poses), "intrinsics": intrinsics}
        said = self._model.inference(list(images), **given)
        found = None
        if poses is None:
            to_camera = np.tile(np.eye(4), (len(images), 1, 1))
            to_camera[:, :3] = np.asarray(said.extrinsics)[:, :3]
            found = to_world(to_camera)
        return Geometry(
            np.asarray(said.depth, np.float32),
            found,
            np.asarray(said.intrinsics, np.float64),
            None if said.conf is None else np.asarray(said.conf),
        )

    def _single(self, images: Sequence[np.ndarray], intrinsics: np.ndarray | None) -> Geometry:
        """Metric depth: the output times the focal length of the image as the model saw it."""
        if intrinsics is None:
            raise DataError(f"{self.name}: needs the intrinsics of the images, got none")
        depth = []
        for image, matrix in zip(images, intrinsics, strict=True):
            output = np.asarray(self._model.inference([image]).depth, np.float32)[0]
            seen = resized(matrix, image.shape[:2], output.shape)
            depth.append(output * np.float32((seen[0, 0] + seen[1, 1]) / 2 / METRIC_FOCAL))
        return Geometry(np.array(depth), None, None)

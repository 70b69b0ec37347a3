# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Depth models of single images in the package ``transformers``, such as Depth Anything V2.

Metric variants of Depth Anything V2 (Yang et al., 2024, arXiv 2406.09414) predict metres.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from concerto_ros.files.data_error import DataError
from concerto_ros.posed.depth_models.depth_model import PublishedModel
from concerto_ros.posed.geometry import Geometry
from concerto_ros.settings.published_models import PublishedDepthModel


class TransformersDepth(PublishedModel):
    """A model of ``transformers``; see :class:`~.depth_model.DepthModel`.

    Args:
        published: Which one.
        source: The folder of its files; weights are only read from safetensors.
        device: Where it runs.

    Raises:
        DataError: The files are of no metric model, or cannot be read.
    """

    def __init__(self, published: PublishedDepthModel, source: Path, device: torch.device | str):
        from transformers import AutoImageProcessor, AutoModelForDepthEstimation

        super().__init__(published, source)
        self._process = self._load(AutoImageProcessor, trust_remote_code=False)
        model = self._load(
            AutoModelForDepthEstimation, use_safetensors=True, trust_remote_code=False
        )
        kind = getattr(model.config, "depth_estimation_type", "metric")
        if kind != "metric":
            raise DataError(
                f"{published.name}: {source}: depth_estimation_type is {kind!r}, expected"
                " 'metric': the files are of another model"
            )
        self._model = model.to(device).eval()

    @torch.inference_mode()
    def __call__(
        self,
        images: Sequence[np.ndarray],
        intrinsics: np.ndarray | None = None,
        poses: np.ndarray | None = None,
    ) -> Geometry:
        """Predict each image by itself, at its own size."""
        depth = []
        for image in images:
            given = self._process(images=image, return_tensors="pt").to(self._model.device)
            said = self._model(**given)
            (found,) = self._process.post_process_depth_estimation(said, [image.shape[:2]])
            depth.append(found["predicted_depth"].float().cpu().numpy())
        return Geometry(np.array(depth), None, None)

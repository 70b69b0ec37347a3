# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Feature images of a frozen image model, such as DINOv2: a vector of each patch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional

from concerto_ros.learning.images.image_models import (
    DEVIATION,
    EFFICIENTNET,
    MEAN,
    TRANSFORMERS,
    load_image_model,
)

#: Patches along the shorter edge of an image, as Concerto takes them of DINOv2.
PATCHES = 37


def is_image_model(name: str) -> bool:
    """Whether a name is that of a model, and not of a folder of feature images."""
    return name.startswith(TRANSFORMERS) or name == EFFICIENTNET


class ModelFeatures:
    """Feature images of a model that takes images of any size.

    Args:
        name: ``transformers:FOLDER``, a ViT such as DINOv2 as ``save_pretrained`` writes it, or
            ``efficientnet-lite0``. Nothing is downloaded.
        device: Where it runs.

    Raises:
        ValueError: There is no such model, or its file cannot be read.
        ImportError: A package of it is not installed.
    """

    def __init__(self, name: str, device: torch.device | str = "cpu"):
        self._model, self._device = load_image_model(name, device), device
        if self._model.dense is None:
            raise ValueError(
                f"2D model: {name} takes images of one size, expected {TRANSFORMERS}FOLDER or"
                f" {EFFICIENTNET}"
            )
        self._dense = self._model.dense

    @property
    def width(self) -> int:
        """D, the number of channels of a vector."""
        return self._model.channels

    def identity(self, scene: str, frame: str) -> str:
        """The model's name and weights: it has a feature image of every image."""
        return f"{self._model.name} {self._model.identity} {PATCHES}"

    @torch.inference_mode()
    def of(self, scene: str, frame: str, image: Callable[[], np.ndarray]) -> torch.Tensor:
        """The feature image: a vector of each patch, (H', W', D) float32."""
        pixels = image()
        patch = self._model.patch
        factor = PATCHES / min(pixels.shape[:2])
        edges = [patch * max(1, round(edge * factor)) for edge in pixels.shape[:2]]
        values = torch.from_numpy(pixels).to(self._device).permute(2, 0, 1)[None].float() / 255
        values = functional.interpolate(values, edges, mode="bilinear", antialias=True)
        mean, deviation = (values.new_tensor(each).view(3, 1, 1) for each in (MEAN, DEVIATION))
        return self._dense((values - mean) / deviation)[0].permute(1, 2, 0).float().cpu()

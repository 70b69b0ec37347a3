# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""MapAnything (Keetha et al., 2025, arXiv 2509.13414), by its own package."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from concerto_ros.posed.depth_models.depth_model import PublishedModel
from concerto_ros.posed.geometry import Geometry
from concerto_ros.settings.published_models import PublishedDepthModel


class MapAnything(PublishedModel):
    """A model of MapAnything; see :class:`~.depth_model.DepthModel`.

    Args:
        published: Which one.
        source: The folder of its files.
        device: Where it runs.

    Raises:
        DataError: The files cannot be read.
    """

    def __init__(self, published: PublishedDepthModel, source: Path, device: torch.device | str):
        from mapanything.models import MapAnything as Model

        super().__init__(published, source)
        self._model = self._load(Model).to(device)

    def __call__(
        self,
        images: Sequence[np.ndarray],
        intrinsics: np.ndarray | None = None,
        poses: np.ndarray | None = None,
    ) -> Geometry:
        """Predict all images together."""
        from mapanything.utils.image import preprocess_inputs

        views: list[dict[str, Any]] = [{"img": torch.from_numpy(image)} for image in images]
        for given, name in ((intrinsics, "intrinsics"), (poses, "camera_poses")):
            if given is not None:
                for view, value in zip(views, given, strict=True):
                    view[name] = torch.from_numpy(value).float()
        said = self._model.infer(preprocess_inputs(views), apply_mask=True, mask_edges=True)
        depth, found, matrices, confidence = (
            np.array([_array(view[name]) for view in said])
            for name in ("depth_z", "camera_poses", "intrinsics", "conf")
        )
        mask = np.array([_array(view["mask"]) for view in said])[..., 0] > 0
        depth = np.where(mask, depth[..., 0], np.nan).astype(np.float32)
        return Geometry(
            depth,
            None if poses is not None else found.astype(np.float64),
            matrices.astype(np.float64),
            confidence,
        )


def _array(batch: torch.Tensor) -> np.ndarray:
    """The one item of a batch, on the CPU."""
    return batch.detach().float().cpu().numpy()[0]

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a depth model is, and what those of published files have in common."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from concerto_ros.files.data_error import DataError
from concerto_ros.files.error_text import one_line
from concerto_ros.posed.geometry import Geometry
from concerto_ros.settings.published_models import PublishedDepthModel


class DepthModel(Protocol):
    """Predicts depth from colour images.

    Attributes:
        name: As a person named it.
        metric: Whether its depth is in metres.
        predicts_poses: Whether it sees several images together and predicts their poses.
    """

    name: str
    metric: bool
    predicts_poses: bool

    def __call__(
        self,
        images: Sequence[np.ndarray],
        intrinsics: np.ndarray | None = None,
        poses: np.ndarray | None = None,
    ) -> Geometry:
        """Predict the depth of N images.

        Args:
            images: (H, W, 3) uint8 RGB each, all of one size.
            intrinsics: (N, 3, 3), pixels of the images; None: not known.
            poses: (N, 4, 4), camera to world, metres; None: not known. A model that predicts poses
                returns depth in the unit of these.

        Returns:
            Depth, and where no poses are given and it predicts them, poses and intrinsics.
        """


class PublishedModel:
    """A published depth model of a folder of files.

    Args:
        published: Which one.
        source: The folder.

    Attributes:
        name: As of :class:`DepthModel`, as the two that follow.
        metric: Likewise.
        predicts_poses: Likewise.
    """

    def __init__(self, published: PublishedDepthModel, source: Path):
        self.name, self.metric = published.name, published.metric
        self.predicts_poses = published.predicts_poses
        self._source = source

    def _load(self, kind: Any, **options: Any) -> Any:
        """What ``kind.from_pretrained`` of a package makes of the files; nothing is downloaded.

        Raises:
            DataError: The files cannot be read; names model and folder.
        """
        try:
            return kind.from_pretrained(str(self._source), local_files_only=True, **options)
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"{self.name}: {self._source}: {one_line(error)}") from None

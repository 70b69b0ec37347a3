# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Shapes to pre-train on: clouds with names and captions, read when they are asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from concerto_ros.files.digest import digest
from concerto_ros.learning.objects.data.object_set import ObjectSet
from concerto_ros.objects.encoders.shared.preprocess import unit_sphere


class ShapeSet(ABC):
    """S shapes, y up.

    Args:
        name: Name of the data set, for messages and reports.
        ids: S names, by which files of vectors and pictures know the shapes.
        captions: S texts, such as the names of their categories.

    Raises:
        ValueError: If there are no shapes, or a name occurs twice.
    """

    def __init__(self, name: str, ids: Sequence[str], captions: Sequence[str]):
        self.name, self.ids, self.captions = name, tuple(ids), tuple(captions)
        if not self.ids:
            raise ValueError(f"{name} has no shapes, expected at least one")
        if len(set(self.ids)) != len(self.ids):
            twice = next(one for one in self.ids if self.ids.count(one) > 1)
            raise ValueError(f"{name}: the shape {twice} occurs twice, expected it once")

    def __len__(self) -> int:
        return len(self.ids)

    @abstractmethod
    def read(self, row: int) -> np.ndarray:
        """Read the shape at ``row``: (P, 3) float32."""

    def picture(self, row: int) -> np.ndarray | None:
        """Read the picture of the shape at ``row``: (H, W, 3) uint8 RGB; None without one."""
        return None

    def identity(self) -> dict[str, Any]:
        """Tell these shapes from others, for a run that resumes."""
        return {
            "objects": f"{len(self)} of {self.name}",
            "shapes": digest(self.ids),
            "captions": digest(self.captions),
        }

    def sample(
        self, rows: Sequence[int], points: int, generator: torch.Generator | None = None
    ) -> torch.Tensor:
        """Sample random points (B, points, 3) of each shape as they are stored.

        Fewer points are repeated cyclically.

        Args:
            rows: B positions of shapes.
            points: Points to draw of each.
            generator: Random generator on the CPU; None: PyTorch's global one.
        """
        clouds = []
        for row in rows:
            cloud = torch.from_numpy(self.read(int(row)))
            order = torch.randperm(len(cloud), generator=generator)
            clouds.append(cloud[order[torch.arange(points) % len(cloud)]])
        return torch.stack(clouds)

    def draw(
        self, rows: Sequence[int], points: int, generator: torch.Generator | None = None
    ) -> torch.Tensor:
        """Draw clouds (B, points, 3): random points of each shape, then its unit sphere.

        This is what the published pre-trainings on ShapeNet55 do; arguments as of :meth:`sample`.
        """
        return unit_sphere(self.sample(rows, points, generator))


class ObjectShapes(ShapeSet):
    """The objects of labelled sets, which have their classes as captions, in memory.

    Args:
        name: Name of the data set, for messages and reports.
        sets: The objects, under names that differ; labels serve the captions only.
    """

    def __init__(self, name: str, *sets: ObjectSet):
        ids = [f"{one.name}, {row}" for one in sets for row in range(len(one))]
        labels = [one.classes[label] for one in sets for label in one.labels]
        super().__init__(name, ids, [label.replace("_", " ") for label in labels])
        self._sets = sets
        self._rows = [(one, row) for one in sets for row in range(len(one))]

    def read(self, row: int) -> np.ndarray:
        """Return the points of the object at ``row``: (P, 3) float32."""
        objects, inside = self._rows[row]
        return objects.points[inside]

    def identity(self) -> dict[str, Any]:
        """Tell these shapes from others; also by their points."""
        return super().identity() | {"points": digest(one.points for one in self._sets)}

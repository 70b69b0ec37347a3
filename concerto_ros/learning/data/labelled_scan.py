# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One labelled cloud."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from concerto_ros.labels.label_set import UNLABELLED


@dataclass(frozen=True, eq=False)
class Scan:
    """A cloud to learn from or to be tested on.

    Attributes
    ----------
    name: what messages call it, e.g. the file it came from.
    points: (N, 3) float32, metres, z up, every value finite.
    labels: (N,) uint8, position in the label set; 255 where there is none.
    colors: (N, 3) uint8 RGB, or None.
    normals: (N, 3) float32 unit vectors, or None.
    """

    name: str
    points: np.ndarray
    labels: np.ndarray
    colors: np.ndarray | None = None
    normals: np.ndarray | None = None

    def __post_init__(self) -> None:
        for field, kind, shape in (
            ("points", np.float32, (len(self.points), 3)),
            ("labels", np.uint8, (len(self.points),)),
            ("colors", np.uint8, (len(self.points), 3)),
            ("normals", np.float32, (len(self.points), 3)),
        ):
            value = getattr(self, field)
            if value is None and field in ("colors", "normals"):
                continue
            if not isinstance(value, np.ndarray) or value.dtype != kind or value.shape != shape:
                got = f"{getattr(value, 'dtype', type(value))} {np.shape(value)}"
                raise ValueError(
                    f"{self.name}: {field} is {got}, expected {np.dtype(kind)} {shape}"
                )

    def __len__(self) -> int:
        return len(self.points)

    @property
    def labelled(self) -> np.ndarray:
        """(N,) bool: which points have a label."""
        return self.labels != UNLABELLED

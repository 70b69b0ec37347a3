# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Labelled scans."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from concerto_ros.labels.label_set import UNLABELLED, LabelSet


@dataclass(frozen=True, eq=False)
class Scan:
    """A point cloud with a label per point, for training or evaluation.

    Attributes:
        name: Name in messages, e.g. the file it was read from.
        points: (N, 3) float32, metres, z up (REP-103), all finite.
        labels: (N,) uint8, position in the label set; 255: no label.
        colors: (N, 3) uint8 RGB, or None.
        normals: (N, 3) float32 unit vectors, or None.
    """

    name: str
    points: np.ndarray
    labels: np.ndarray
    colors: np.ndarray | None = None
    normals: np.ndarray | None = None

    def __post_init__(self) -> None:
        for field, dtype, shape in (
            ("points", np.float32, (len(self.points), 3)),
            ("labels", np.uint8, (len(self.points),)),
            ("colors", np.uint8, (len(self.points), 3)),
            ("normals", np.float32, (len(self.points), 3)),
        ):
            value = getattr(self, field)
            if value is None and field in ("colors", "normals"):
                continue
            if not isinstance(value, np.ndarray) or value.dtype != dtype or value.shape != shape:
                got = f"{getattr(value, 'dtype', type(value))} {np.shape(value)}"
                raise ValueError(
                    f"{self.name}: {field} is {got}, expected {np.dtype(dtype)} {shape}"
                )

    def __len__(self) -> int:
        return len(self.points)

    @property
    def labelled(self) -> np.ndarray:
        """(N,) bool: which points have a label."""
        return self.labels != UNLABELLED


class Scans(Protocol):
    """Scans by index, e.g. a list of them."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Scan: ...


class LabelledScans(Scans, Protocol):
    """Scans by index and the label set of their labels: a data set."""

    @property
    def classes(self) -> LabelSet:
        """The label set, in label order."""

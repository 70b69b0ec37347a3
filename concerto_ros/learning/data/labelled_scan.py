# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Labelled scans."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from concerto_ros.labels.label_set import UNLABELLED, LabelSet

#: The position of a fine name that a point has not.
NO_NAME = 65535


@dataclass(frozen=True, eq=False)
class Scan:
    """A point cloud with a label per point, for training or evaluation.

    Attributes:
        name: Name in messages, e.g. the file it was read from.
        points: (N, 3) float32, metres, z up (REP-103), all finite.
        labels: (N,) uint8, position in the label set; 255: no label.
        colors: (N, 3) uint8 RGB, or None.
        normals: (N, 3) float32 unit vectors, or None.
        name_ids: (N,) uint16, position of the fine name in ``names``, which says more than the
            label: "office chair" of a chair; :data:`NO_NAME`: none. None for scans without.
        names: The fine names; those of points that were left out may be among them.
    """

    name: str
    points: np.ndarray
    labels: np.ndarray
    colors: np.ndarray | None = None
    normals: np.ndarray | None = None
    name_ids: np.ndarray | None = None
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for field, dtype, shape in (
            ("points", np.float32, (len(self.points), 3)),
            ("labels", np.uint8, (len(self.points),)),
            ("colors", np.uint8, (len(self.points), 3)),
            ("normals", np.float32, (len(self.points), 3)),
            ("name_ids", np.uint16, (len(self.points),)),
        ):
            value = getattr(self, field)
            if value is None and field not in ("points", "labels"):
                continue
            if not isinstance(value, np.ndarray) or value.dtype != dtype or value.shape != shape:
                got = f"{getattr(value, 'dtype', type(value))} {np.shape(value)}"
                raise ValueError(
                    f"{self.name}: {field} is {got}, expected {np.dtype(dtype)} {shape}"
                )
        if self.name_ids is not None and len(self):
            known = self.name_ids[self.name_ids != NO_NAME]
            if len(known) and known.max() >= len(self.names):
                raise ValueError(
                    f"{self.name}: name_ids go up to {known.max()}, expected positions in names,"
                    f" of which there are {len(self.names)}, or {NO_NAME} for none"
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

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The views of a scan that test-time augmentation averages, as Pointcept's testers choose them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from concerto_ros.learning.data.augment import transformed
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.mapping.voxel_grid import voxel_keys

#: Cosine and sine of 0, 1, 2 and 3 quarter turns.
TURNS = ((1, 0), (0, 1), (-1, 0), (0, -1))


@dataclass(frozen=True)
class View:
    """A scan turned about the vertical, mirrored and scaled, about its origin.

    Attributes:
        quarter_turns: 0 to 3, counter-clockwise seen from above.
        scale: Factor of the size.
        mirrored: Whether x and y are both mirrored, as Pointcept's flip does it with certainty.
    """

    quarter_turns: int = 0
    scale: float = 1.0
    mirrored: bool = False

    def __call__(self, scan: Scan) -> Scan:
        """The scan in this view, its points in their order; normals turn with it."""
        cosine, sine = TURNS[self.quarter_turns]
        matrix = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
        if self.mirrored:
            matrix = np.diag([-1, -1, 1]) @ matrix
        seen = transformed(scan, matrix)
        return replace(seen, points=seen.points * np.float32(self.scale))


_QUARTERS = tuple(View(turns) for turns in range(4))

#: By their number, the views that Pointcept's testers average: 13 for ScanNet, ScanNet++ and
#: S3DIS, 10 for nuScenes, 4 for SemanticKITTI; 1 is the scan itself. The last of the 13 is the
#: third once more: a flip of x and y is half a turn.
VIEWS = {
    1: (View(),),
    4: _QUARTERS,
    10: tuple(
        View(scale=scale, mirrored=mirrored)
        for mirrored, scale in product((False, True), (0.9, 0.95, 1.0, 1.05, 1.1))
    ),
    13: (
        *_QUARTERS,
        *(View(turns, scale) for scale in (0.95, 1.05) for turns in range(4)),
        View(mirrored=True),
    ),
}


def fragments(points: np.ndarray, voxel_size: float) -> Iterator[np.ndarray]:
    """Rows of points such that each fragment has one of each voxel, and each point is in one.

    There are as many fragments as the fullest voxel has points; voxels with fewer begin again.

    Args:
        points: (N, 3) metres.
        voxel_size: Metres.

    Yields:
        (V,) int64 rows, ascending.
    """
    keys = voxel_keys(points, voxel_size)
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    first = np.flatnonzero(np.diff(keys, prepend=keys[:1] - 1))
    count = np.diff(first, append=len(keys))
    for turn in range(int(count.max(initial=0))):
        yield np.sort(order[first + turn % count])

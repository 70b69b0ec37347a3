# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Where among the patches of images points are seen, against all rows one by one."""

from __future__ import annotations

import numpy as np
import pytest

from concerto_ros.learning.pretraining.correspondence import Crop, patches_of_points


@pytest.mark.parametrize("several", [False, True], ids=["one pixel each", "several pixels"])
@pytest.mark.parametrize("shuffled", [False, True], ids=["ascending", "in any order"])
def test_of_the_pixels_of_a_point_the_lowest_and_then_the_rightmost_counts(several, shuffled):
    random = np.random.default_rng(3)
    points, crop = 40, Crop(2, 0, 12, 9, (3, 4))
    seen = random.choice(points, 60, replace=True) if several else random.permutation(points)[:30]
    # Few rows, so that points have several pixels in one.
    pixels = np.stack([random.integers(0, 16, len(seen)), random.integers(0, 3, len(seen))], 1)
    rows = np.column_stack([pixels, seen if shuffled else np.sort(seen)])
    expected = np.full((points, 2, 2), -1.0)
    for x, y, point in rows.tolist():
        if 2 <= x < 14:
            place = [y * 3 / 9, (x - 2) * 4 / 12]
            expected[point, 0] = max(expected[point, 0].tolist(), place)
    nothing = np.array([[-1, -1, -1]])
    found = patches_of_points([rows, nothing], points, [crop, crop])
    np.testing.assert_allclose(found, expected, rtol=1e-6)

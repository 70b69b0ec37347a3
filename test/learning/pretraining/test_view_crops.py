# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Views of a scene: which points they have, and in which order."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from concerto_ros.learning.pretraining.views import RandomDraws, ViewSizes, crop_views


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 60), st.integers(1, 80), st.integers(0, 2**31))
def test_views_are_the_nearest_points_in_the_order_of_distance_and_then_of_rows(
    points, most, seed
):
    random = np.random.default_rng(seed)
    # On a coarse lattice, so that many points are equally far away.
    coord = random.integers(0, 4, (points, 3)) / 2
    views = crop_views(coord, None, ViewSizes(most=most), RandomDraws(random))
    assert len(views.major.rows) == min(most, points)
    for view in (views.major, views.second, *views.locals):
        distance = np.linalg.norm(coord - view.centre, axis=1)
        nearest = sorted(range(points), key=lambda row: (round(distance[row], 9), row))
        assert view.rows.tolist() == nearest[: len(view.rows)]
        assert 1 <= len(view.rows) <= most

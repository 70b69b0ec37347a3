# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What lies flat on a table and what stands beside it."""

from __future__ import annotations

import numpy as np
import pytest
from labelled_blocks import ROLES, TABLE, block, cloud

from concerto_ros.objects.finding.components import neighbour_pairs
from concerto_ros.objects.finding.flat_objects import divide_flat
from concerto_ros.objects.finding.instances import find_instances

#: The first voxels above the table have z index 37.
PAPERS = block((10, 8, 37), (26, 24, 38), "other")


def heights(*things) -> list[int]:
    """How many voxels high each object on the table is, lowest first."""
    scene = cloud(*TABLE, *things)
    found = find_instances(scene, ROLES, 20)
    return sorted(int(np.ptp(scene.index[one.rows, 2])) + 1 for one in found if one.on_surface)


@pytest.mark.parametrize(
    "screen",
    [
        block((26, 20, 37), (46, 22, 58), "screen"),  # beside them
        block((26, 20, 37), (46, 22, 58), "other"),  # whatever its label
        block((12, 24, 37), (15, 36, 58), "cabinet"),  # its narrow side at them
    ],
)
def test_a_screen_beside_papers_is_a_thing_of_its_own(screen):
    assert heights(PAPERS, screen) == [1, 21]


@pytest.mark.parametrize(
    ("parts", "tall"),
    [
        ((PAPERS, block((10, 24, 37), (26, 25, 50), "other")), 13),  # a laptop and its lid
        ((PAPERS, block((17, 15, 38), (19, 17, 55), "other")), 18),  # a lamp on its foot
        ((PAPERS, block((14, 12, 38), (22, 20, 46), "other")), 9),  # a box on papers
        (
            (block((10, 8, 37), (12, 10, 38), "other"), block((12, 8, 37), (20, 16, 45), "other")),
            8,
        ),
    ],
)
def test_what_is_joined_along_a_side_or_stands_upon_it_stays_one(parts, tall):
    assert heights(*parts) == [tall]


def test_papers_between_two_screens_belong_to_neither():
    screens = (
        block((26, 20, 37), (46, 22, 58), "other"),
        block((2, 8, 37), (10, 10, 50), "other"),
    )
    assert heights(PAPERS, *screens) == [1, 13, 21]


def test_voxels_of_nothing_on_a_table_stay_out():
    index, _ = PAPERS
    part = np.full(len(index), -1)
    none = np.zeros((0, 2), np.int64)
    np.testing.assert_array_equal(divide_flat(index, np.zeros(len(index)), part, none, 5), part)
    # The first half is a thing, all of it flat.
    part[: len(part) // 2] = 0
    pairs = neighbour_pairs(index)
    pairs = pairs[(part[pairs] == 0).all(1)]
    np.testing.assert_array_equal(divide_flat(index, np.ones(len(index)), part, pairs, 5), part)

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Voxels counted by cell as they come and go, against a count of all of them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from concerto_ros.mapping.voxel_cells import BLOCK, CELL, VoxelCells
from concerto_ros.mapping.voxel_grid import LATTICE_LIMIT, unpack
from concerto_ros.mapping.voxel_map import VoxelMap
from concerto_ros.sensors.frame import Frame


def assert_counted(cells: VoxelCells, index: np.ndarray) -> None:
    """Each voxel is in the cell, column and block that its lattice index says."""
    cell, block = index // CELL, index // BLOCK
    of_voxel = cells.of_voxel
    np.testing.assert_array_equal(unpack(cells.corner[of_voxel]), cell * CELL)
    np.testing.assert_array_equal(unpack(cells.block_corner[cells.block[of_voxel]]), block * BLOCK)
    assert len(np.unique(cells.corner)) == len(cells.corner) == len(cells.count)
    counted = Counter(map(tuple, cell.tolist()))
    assert cells.count.sum() == len(index)
    assert cells.count[of_voxel].tolist() == [counted[tuple(each)] for each in cell.tolist()]
    column = cells.column[of_voxel]
    pairs = {
        (number, *place) for number, place in zip(column, map(tuple, cell[:, :2]), strict=True)
    }
    assert len(pairs) == len(set(column.tolist())) == len(set(map(tuple, cell[:, :2].tolist())))


def test_voxels_anywhere_on_the_lattice():
    random = np.random.default_rng(0)
    index = np.unique(random.integers(-20, 20, (3000, 3)).astype(np.int32), axis=0)
    ends = np.array([[-LATTICE_LIMIT] * 3, [LATTICE_LIMIT - 1] * 3, [0, 0, 0]], np.int32)
    for each in (index, ends, index[:1], index[:0]):
        assert_counted(VoxelCells.of(each), each)


@pytest.mark.parametrize("limits", [{}, {"radius": 3.0}, {"max_voxels": 2000}])
def test_a_map_counts_what_comes_and_goes(limits):
    random = np.random.default_rng(1)
    voxels = VoxelMap(0.1, window_seconds=1.0, **{"max_voxels": 20_000, **limits})
    most = 0
    for number in range(60):
        robot = np.array([0.4 * number, 0, 0])
        points = (robot + random.uniform(-3, 3, (400, 3))).astype(np.float32)
        voxels.insert(Frame(points, number * 100_000_000, "odom", origin=robot), robot)
        if number == 40:
            voxels.put(voxels.snapshot())
        if number == 50:
            voxels.clear()
        if number % 3:
            snapshot = voxels.snapshot()
            assert_counted(snapshot.cells, snapshot.index)
            now = len(np.unique(snapshot.index // CELL, axis=0))
            most = max(most, len(snapshot.cells.count) / max(now, 1024))
    assert most < 3  # numbers of cells that are left behind do not grow with the way


def test_an_earlier_snapshot_keeps_its_cells():
    random = np.random.default_rng(2)
    voxels = VoxelMap(0.1, window_seconds=0.5, max_voxels=20_000)
    kept = []
    for number in range(12):
        points = random.uniform(-3, 3, (500, 3)).astype(np.float32) + np.float32([number, 0, 0])
        voxels.insert(Frame(points, number * 100_000_000, "odom"), np.zeros(3))
        kept.append(voxels.snapshot())
    for snapshot in kept:
        assert_counted(snapshot.cells, snapshot.index)

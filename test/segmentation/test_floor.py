# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The height from which models count: that of the floor, not of a stray point below it."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
import torch

from concerto_ros.learning.data.batch import make_batch
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.mapping.voxel_cells import BLOCK, CELL
from concerto_ros.mapping.voxel_map import VoxelMap
from concerto_ros.segmentation.convention import convention_for
from concerto_ros.segmentation.fixed_origin import FixedOrigin
from concerto_ros.segmentation.floor import (
    DENSE,
    FEW,
    FEWEST,
    LAYER,
    PART,
    SAME,
    SHARE,
    WALLS_BELOW,
    WIDE_DENSE,
    find_floor,
)
from concerto_ros.segmentation.model_input import build_model_input
from concerto_ros.sensors.frame import Frame

INDOOR = convention_for("indoor", rotary=False)


def plane(low, high, count, seed=0):
    """``count`` random points in a box, of which one side may be flat."""
    return np.random.default_rng(seed).uniform(low, high, (count, 3))


def room():
    """4 x 5 m: floor at z = 0.3, walls, a table top at 1.05."""
    return np.vstack(
        [
            plane([0, 0, 0.3], [4, 5, 0.31], 30_000),
            plane([0, 0, 0.3], [0.01, 5, 2.8], 15_000, 1),
            plane([0, 5, 0.3], [4, 5.01, 2.8], 15_000, 2),
            plane([1, 1, 1.05], [2.5, 2, 1.06], 5000, 3),
        ]
    )


def sweep(slope=0.0):
    """Rings of a LiDAR on the ground, 1.8 m below it, and two buildings."""
    angle = np.linspace(0, 2 * np.pi, 1024, endpoint=False)
    radius = 1.8 / np.tan(np.radians(np.arange(2, 25, 0.7)))
    x, y = np.outer(radius, np.cos(angle)).ravel(), np.outer(radius, np.sin(angle)).ravel()
    noise = np.random.default_rng(0).normal(0, 0.02, x.shape)
    ground = np.stack([x, y, slope * x - 1.8 + noise], axis=1)
    street = ground[np.abs(ground[:, 1]) < 15]
    walls = [plane([-40, y, -1.8], [40, y + 0.1, 6], 15_000, 4) for y in (-15, 15)]
    return np.vstack([street, *walls])


def strays(cloud, share, depth, at_one_height=False):
    """Copies of a ``share`` of the points, up to ``depth`` or all that far below the lowest."""
    rng = np.random.default_rng(5)
    copies = cloud[rng.integers(0, len(cloud), math.ceil(share * len(cloud)))].copy()
    below = depth if at_one_height else rng.uniform(0.5, depth, len(copies))
    copies[:, 2] = cloud[:, 2].min() - below
    return np.vstack([cloud, copies])


def snapshot_of(points, voxel_size):
    voxels = VoxelMap(voxel_size, window_seconds=1.0, max_voxels=1_000_000)
    voxels.insert(Frame(np.float32(points), 0, "odom"), np.zeros(3))
    return voxels.snapshot()


def floor_of(points, voxel_size, held=None, **known):
    snapshot = snapshot_of(points, voxel_size)
    result = build_model_input(snapshot, INDOOR, held, **known)
    # The coordinates count from the height that is told.
    z = snapshot.points[:, 2] - result.floor_height
    np.testing.assert_allclose(result.coord[:, 2], z, atol=1e-5)
    return result.floor_height


CLOUDS = {
    "room": (room(), 0.04, 0.3),
    "sweep": (sweep(), 0.16, -1.8),
    "fine": (sweep(), 0.04, -1.8),
}


@pytest.mark.parametrize("name", CLOUDS)
@pytest.mark.parametrize("share", [0.006, 0.01, 0.026])
@pytest.mark.parametrize("at_one_height", [False, True])
@pytest.mark.parametrize("held", [False, True])
def test_strays_below_the_ground_do_not_move_the_floor(name, share, at_one_height, held):
    cloud, voxel_size, floor = CLOUDS[name]
    with_strays = strays(cloud, share, 10.0, at_one_height)
    origin = FixedOrigin() if held else None
    assert floor_of(with_strays, voxel_size, origin) == pytest.approx(floor, abs=8 * voxel_size)


def seen(model_input):
    """Grid and coordinates that an encoder gets."""
    rows = None if model_input.strays is None else torch.nonzero(~model_input.strays)[:, 0]
    part = model_input.part(rows)
    return part.grid_coord, part.coord


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("count", [1, 3])
def test_a_few_strays_below_a_room_change_nothing_that_the_model_sees(count, held):
    below = np.array([[2.0, 2.0, -1.0], [2.1, 3.0, -4.0], [1.0, 4.0, -9.0]])[:count]
    clean = build_model_input(snapshot_of(room(), 0.04), INDOOR, FixedOrigin() if held else None)
    snapshot = snapshot_of(np.vstack([room(), below]), 0.04)
    noisy = build_model_input(snapshot, INDOOR, FixedOrigin() if held else None)
    assert noisy.strays.sum() == count and clean.strays is None
    for expected, got in zip(seen(clean), seen(noisy), strict=True):
        assert torch.equal(got, expected)


@pytest.mark.parametrize("name", CLOUDS)
def test_the_floor_of_a_cloud_without_strays_is_its_lowest_voxel_exactly(name):
    cloud, voxel_size, _ = CLOUDS[name]
    cloud = cloud[:30_000] if name == "room" else cloud
    lowest = snapshot_of(cloud, voxel_size).points[:, 2].min()
    assert floor_of(cloud, voxel_size) == pytest.approx(lowest, abs=1.01 * 2 * voxel_size)
    if name != "fine":
        assert floor_of(cloud, voxel_size) == lowest


def test_a_small_patch_of_floor_is_the_floor():
    # A camera that looks at a table sees 3 % of floor behind it.
    table = plane([0, 0, 0.7], [2, 1.2, 0.71], 20_000)
    patch = plane([0, 1.4, 0.0], [0.4, 1.6, 0.01], 900, 1)
    assert floor_of(np.vstack([table, patch]), 0.04) == pytest.approx(0.0, abs=0.02)


def test_a_table_top_without_a_floor_in_view_counts_from_the_table():
    table = plane([0, 0, 0.7], [1, 0.6, 0.71], 10_000)
    cup = plane([0.4, 0.3, 0.7], [0.48, 0.38, 0.8], 500, 1)
    assert floor_of(np.vstack([table, cup]), 0.02) == pytest.approx(0.7, abs=0.02)


def test_walls_without_a_floor_in_view_are_no_strays():
    # A camera that looks at a wall with a shelf on it.
    wall = plane([0, 2, 0.6], [3, 2.01, 2.4], 60_000)
    shelf = plane([0.5, 1.7, 1.5], [2.5, 2, 1.51], 8000, 1)
    view = np.vstack([wall, shelf])
    for cloud, expected in ((view, 0), (strays(view, 0.01, 5.0), 100)):
        result = build_model_input(snapshot_of(cloud, 0.04), INDOOR)
        assert result.floor_height == pytest.approx(0.6, abs=0.08)
        assert (0 if result.strays is None else result.strays.sum()) >= expected
        assert result.strays is None or (result.coord[result.strays, 2] < 0).all()


def test_a_dense_reflection_far_below_the_ground_is_not_a_wall():
    # A pane mirrors a wall: as dense as a real one, but nothing joins it with what is above.
    mirrored = plane([3, 4, -7.0], [6, 4.02, -5.0], 12_000)
    ground = plane([0, 0, 0.0], [12, 12, 0.01], 200_000, 1)
    result = build_model_input(snapshot_of(np.vstack([ground, mirrored]), 0.04), INDOOR)
    assert result.floor_height == pytest.approx(0.0, abs=0.05)
    assert result.strays is not None
    assert result.strays.sum() > 0.9 * (result.coord[:, 2] < -1).sum()


def test_the_floor_of_a_slope_is_within_it():
    cloud = sweep(slope=0.08)
    ground = cloud[: -2 * 15_000, 2]
    for points in (cloud, strays(cloud, 0.02, 10.0)):
        assert ground.min() - 0.5 < floor_of(points, 0.16) < np.median(ground)


def test_a_storey_below_is_the_floor_where_much_of_it_is_seen():
    lower = plane([4, 0, -2.7], [7, 5, -2.69], 10_000)
    assert floor_of(np.vstack([room(), lower]), 0.04) == pytest.approx(-2.7, abs=0.08)


@pytest.mark.parametrize("points", [[[1, 2, 3]], [[0, 0, 5], [0, 0, 4], [9, 9, 7]]])
def test_of_few_points_the_lowest_is_the_floor(points):
    assert floor_of(points, 0.04) == min(z for _, _, z in points)


@pytest.mark.parametrize("held", [False, True])
def test_a_known_floor_is_taken_as_it_is(held):
    origin = FixedOrigin() if held else None
    assert floor_of(room(), 0.04, origin, floor_height=0.25) == 0.25
    assert floor_of(room(), 0.04, origin, floor_height=-0.1) == -0.1


def test_the_floor_is_held_while_it_is_seen_a_little_differently():
    origin = FixedOrigin()
    first = floor_of(room(), 0.04, origin)
    assert floor_of(room() + [0, 0, 0.05], 0.04, origin) == first


@pytest.mark.parametrize("rotary", [False, True])
def test_outdoor_conventions_of_published_models_have_no_floor(rotary):
    convention = convention_for("outdoor", rotary)
    snapshot = snapshot_of(sweep(), 0.05)
    result = build_model_input(snapshot, convention, floor_height=3.0)
    assert math.isnan(result.floor_height)
    assert torch.equal(result.coord, build_model_input(snapshot, convention).coord)


def test_training_sees_the_voxels_and_heights_of_inference():
    cloud = np.float32(strays(sweep(), 0.02, 10.0))
    batch = make_batch([Scan("sweep", cloud, np.zeros(len(cloud), np.uint8))], INDOOR, 0.16)
    at_inference = build_model_input(snapshot_of(cloud, 0.16), INDOOR)
    seen = ~at_inference.strays
    assert 0 < len(batch) == seen.sum() < len(at_inference)
    for name in ("feat", "coord", "grid_coord"):
        assert torch.equal(getattr(batch, name), getattr(at_inference, name)[seen])


@pytest.mark.parametrize(("voxel_size", "share"), [(0.04, 0.02), (0.16, 0.001)])
@pytest.mark.parametrize("known", [math.nan, -1.8])
def test_sparse_ground_that_falls_away_is_no_stray(voxel_size, share, known):
    snapshot = snapshot_of(sweep(slope=0.08), voxel_size)
    strays = build_model_input(snapshot, INDOOR, floor_height=known).strays
    assert strays is None or strays.sum() < share * len(snapshot)


@pytest.mark.parametrize("name", CLOUDS)
@pytest.mark.parametrize("share", [0.006, 0.026])
@pytest.mark.parametrize("at_one_height", [False, True])
def test_nearly_all_strays_are_hidden_and_nothing_else(name, share, at_one_height):
    cloud, voxel_size, _ = CLOUDS[name]
    snapshot = snapshot_of(strays(cloud, share, 10.0, at_one_height), voxel_size)
    hidden = build_model_input(snapshot, INDOOR).strays.numpy()
    below = snapshot.points[:, 2] < cloud[:, 2].min() - 0.45
    assert hidden[below].mean() > 0.9
    assert hidden[~below].mean() < 0.002


def slow_floor(points, index, voxel_size):
    """Height and strays, by counting the voxels of each cell and block one by one."""
    height = points[:, 2].astype(np.float64)

    def surfaces(edge):
        cells = [tuple(cell) for cell in (index // edge).tolist()]
        count, column = Counter(cells), Counter(cell[:2] for cell in cells)
        on = [count[c] >= FEWEST and count[c] >= PART * column[c[:2]] for c in cells]
        return np.array([count[c] for c in cells]), np.array(on)

    (in_cell, fine), (in_block, wide) = surfaces(CELL), surfaces(BLOCK)
    surface = np.sort(height[fine] if fine.sum() >= FEW else height)
    least = math.ceil(SHARE * len(surface))
    floor = next(
        (h for n, h in enumerate(surface[: len(surface) - least + 1])
         if surface[n + least - 1] < h + LAYER * voxel_size),
        surface[0],
    )  # fmt: skip
    below = height < floor - SAME * voxel_size
    walls = below & ((in_cell >= DENSE) | (in_block >= WIDE_DENSE))
    layer = ((floor - height) / (LAYER * voxel_size)).astype(int)
    filled = set(layer[walls].tolist())
    walls &= np.array([set(range(n + 1)) <= filled for n in layer])
    if walls.sum() > WALLS_BELOW * len(points):
        floor = height[walls].min()
        below = height < floor - SAME * voxel_size
    if floor - height.min() <= SAME * voxel_size:
        floor = height.min()
    return floor, below & ~(walls | fine | wide)


@pytest.mark.parametrize("seed", range(40))
def test_equals_a_slow_reference(seed):
    random = np.random.default_rng(seed)
    size = random.choice([0.04, 0.2])
    parts = [plane([0, 0, 0.3], [30 * size, 40 * size, 0.3 + size], 1500, seed)]
    for number in range(random.integers(1, 6)):
        low = random.uniform(-20, 20, 3) * size
        extent = random.choice([1, 6, 25], 3) * size
        count = random.choice([20, 100, 1000])
        parts.append(plane(low, low + extent, count, 100 * seed + number))
    snapshot = snapshot_of(np.vstack(parts[seed % 2 :]), size)
    points, index = snapshot.points, snapshot.index
    height, lonely = slow_floor(points, index, size)
    for cells in (None, snapshot.cells):
        floor = find_floor(points, index, size, cells=cells)
        assert floor.height == height
        np.testing.assert_array_equal(floor.strays, lonely)

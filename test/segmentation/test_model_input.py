# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Scaling, centring and gridding as the published models expect them, and an origin that stays."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import paths
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from concerto_ros.mapping.voxel_map import VoxelMap
from concerto_ros.segmentation.convention import Convention, convention_for
from concerto_ros.segmentation.fixed_origin import STEP, FixedOrigin
from concerto_ros.segmentation.model_input import build_model_input, normalise_points
from concerto_ros.sensors.frame import Frame
from concerto_ros.settings.presets import PRESETS

GOLDEN = paths.GOLDEN / "ptv3"
CASES = sorted(path.parent for path in GOLDEN.glob("*/case.npz"))


def clouds_of(case: Path):
    """Every cloud of a golden: raw arrays, expected feat, coord and grid, voxel of each point."""
    arrays = np.load(case / "case.npz")
    ends = arrays["offset"]
    first_raw = 0
    for number, size in enumerate(arrays["raw_sizes"]):
        raw = slice(first_raw, first_raw + size)
        rows = slice(ends[number - 1] if number else 0, ends[number])
        yield (
            *(arrays[name][raw] for name in ("raw_coord", "raw_color", "raw_normal")),
            *(arrays[name][rows] for name in ("feat", "coord", "grid_coord")),
            arrays["inverse"][raw],
        )
        first_raw += size


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_reference_features_are_found_among_our_normalised_points(case):
    for points, colors, normals, feat, coord, _, inverse in clouds_of(case):
        ours_coord, ours_feat = normalise_points(points, colors, normals, Convention(1.0, "box"))
        # The reference keeps one point of each voxel at random, so one of ours must be its row.
        error = np.full(len(feat), np.inf)
        np.minimum.at(error, inverse, np.abs(ours_feat - feat[inverse]).max(axis=1))
        assert error.max() <= 1e-6
        error = np.full(len(feat), np.inf)
        np.minimum.at(error, inverse, np.abs(ours_coord - coord[inverse]).max(axis=1))
        assert error.max() <= 1e-6


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_map_puts_reference_points_into_the_reference_grid(case):
    grid_size = json.loads((case / "meta.json").read_text())["grid_size"]
    convention = Convention(1.0, "box")
    for points, colors, normals, _, _, grid_coord, inverse in clouds_of(case):
        # The reference lays its lattice through the centre of the cloud, ours through the origin.
        centred, expected = normalise_points(points, colors, normals, convention)
        voxels = VoxelMap(grid_size, window_seconds=1.0, max_voxels=10_000)
        voxels.insert(Frame(centred, 0, "odom", colors=colors, normals=normals), np.zeros(3))
        result = build_model_input(voxels.snapshot(), convention)
        order = np.lexsort(grid_coord.T[::-1])
        np.testing.assert_array_equal(result.grid_coord, grid_coord[order])
        mean = np.zeros((len(grid_coord), 6))
        np.add.at(mean, inverse, expected[:, :6].astype(np.float64))
        mean /= np.bincount(inverse)[:, None]
        # Means have a smaller box than points, so the two centres differ by less than a voxel.
        shift = result.coord.numpy() - mean[order, :3]
        assert np.abs(shift).max() < grid_size
        assert np.ptp(shift, axis=0).max() < 1e-5
        np.testing.assert_allclose(result.feat[:, 3:6], mean[order, 3:], atol=1e-6)


def snapshot_of(points, voxel_size=0.02, robot=(0, 0, 0), **frame):
    voxels = VoxelMap(voxel_size, window_seconds=1.0, max_voxels=100_000)
    voxels.insert(Frame(np.float32(points), 0, "odom", **frame), np.array(robot, np.float64))
    return voxels.snapshot()


@pytest.mark.parametrize(
    ("preset", "rotary", "grid", "expected"),
    [
        # Two points in voxels of their own; the robot stands at (10, 20, 30).
        ("indoor", False, 0.02, [[-1, -2, 0], [1, 2, 3]]),
        ("indoor", True, 0.01, [[-0.5, -1, 0], [0.5, 1, 1.5]]),
        ("outdoor", False, 0.01, [[-0.2, -0.4, 0.2], [0.2, 0.4, 0.8]]),
        ("outdoor", True, 0.01, [[0.2, 0.2, 0.2], [0.6, 1.0, 0.8]]),
    ],
)
def test_conventions_of_the_published_models(preset, rotary, grid, expected):
    convention = convention_for(preset, rotary)
    voxel_size = PRESETS[preset].voxel_size
    assert voxel_size * convention.scale == pytest.approx(grid)
    snapshot = snapshot_of([[11, 21, 31], [13, 25, 34]], voxel_size, robot=(10, 20, 30))
    result = build_model_input(snapshot, convention)
    np.testing.assert_allclose(result.coord, expected, atol=1e-5)
    np.testing.assert_array_equal(result.feat[:, :3], result.coord)
    held = build_model_input(snapshot, convention, FixedOrigin())
    np.testing.assert_allclose(held.coord, expected, atol=1e-5)


def test_unknown_conventions_are_refused_by_name():
    with pytest.raises(ValueError, match="preset is 'garden'; expected indoor or outdoor"):
        convention_for("garden", False)
    with pytest.raises(ValueError, match="centre is 'left'"):
        Convention(1.0, "left")
    with pytest.raises(ValueError, match="scale is 0"):
        Convention(0, "box")


def test_channels_are_xyz_colour_normal():
    snapshot = snapshot_of(
        [[1, 2, 3]], colors=np.uint8([[255, 51, 0]]), normals=np.float32([[0, 0, 1]])
    )
    result = build_model_input(snapshot, convention_for("indoor", False))
    np.testing.assert_allclose(result.feat, [[0, 0, 0, 1, 0.2, 0, 0, 0, 1]], atol=1e-6)
    assert result.feat.dtype == torch.float32
    assert result.coord.dtype == torch.float32
    assert result.grid_coord.dtype == torch.int32
    assert result.offset.tolist() == [1]
    assert result.offset.dtype == torch.int64


def test_missing_colour_and_normal_are_zeros():
    result = build_model_input(snapshot_of([[1, 2, 3]]), convention_for("indoor", False))
    np.testing.assert_array_equal(result.feat[:, 3:], np.zeros((1, 6)))
    _, feat = normalise_points(np.float32([[1, 2, 3]]), None, None, Convention(1.0, "box"))
    np.testing.assert_array_equal(feat, np.zeros((1, 9)))


def test_an_empty_snapshot_is_refused():
    voxels = VoxelMap(0.02, window_seconds=1.0, max_voxels=10)
    with pytest.raises(ValueError, match="holds no voxel"):
        build_model_input(voxels.snapshot(), convention_for("indoor", False))


ROOM = np.random.default_rng(0).uniform([-3, -2, 0], [3, 2, 2.5], (4000, 3)).astype(np.float32)


@pytest.mark.parametrize("preset", ["indoor", "outdoor"])
@pytest.mark.parametrize("rotary", [False, True])
def test_a_flying_pixel_at_the_border_moves_nothing(preset, rotary):
    convention = convention_for(preset, rotary)
    voxel_size = PRESETS[preset].voxel_size
    held = FixedOrigin()
    still = snapshot_of(ROOM, voxel_size)
    before = build_model_input(still, convention, held)
    for axis in range(3):
        for side in (-1, 1):
            stray = (ROOM.max(axis=0) if side > 0 else ROOM.min(axis=0)).copy()
            stray[axis] += side * voxel_size * 60
            noisy = snapshot_of(np.vstack([ROOM, stray]), voxel_size)
            after = build_model_input(noisy, convention, held)
            same = (noisy.index[:, None] == still.index[None, :10]).all(axis=2).argmax(axis=0)
            assert len(after.coord) == len(before.coord) + 1
            assert torch.equal(after.coord[same], before.coord[:10])
            assert torch.equal(after.grid_coord[same], before.grid_coord[:10])
            # The depth of the space-filling curves follows from the largest coordinate.
            assert depth_of(after) == depth_of(before)


def depth_of(model_input):
    return int(model_input.grid_coord.max() + 1).bit_length()


@pytest.mark.parametrize("preset", ["indoor", "outdoor"])
def test_the_centre_moves_as_by_the_exact_bounding_box(preset):
    """However far the cheap one of a map that grows is from it."""
    convention, size = convention_for(preset, rotary=False), 0.1
    held, exact = FixedOrigin(), FixedOrigin()
    random, grown = np.random.default_rng(4), ROOM
    centres = []
    for _ in range(120):
        more = random.uniform([0, -2, 0], [0.4, 2, 2.5], (200, 3)) + [grown[:, 0].max(), 0, 0]
        grown = np.vstack([grown, more]).astype(np.float32)
        snapshot = snapshot_of(grown, size)
        centre, low, high = (
            np.zeros(3),
            *np.sort(snapshot.points, axis=0)[
                [len(snapshot) // 200, len(snapshot) - 1 - len(snapshot) // 200]
            ].astype(np.float64),
        )
        if convention.from_floor:
            low[2] = snapshot.points[:, 2].min()
        _, centre = exact.update(snapshot.index, convention.zero(low, high, snapshot.robot), size)
        result = build_model_input(snapshot, convention, held)
        expected = ((snapshot.points - centre) * convention.scale).astype(np.float32)
        np.testing.assert_array_equal(result.coord, expected)
        centres.append(tuple(centre))
    assert len(set(centres)) > 2


coordinate = st.integers(-3000, 3000)
boxes = st.lists(
    st.tuples(st.tuples(*[coordinate] * 3), st.tuples(*[st.integers(1, 2000)] * 3)),
    min_size=1,
    max_size=12,
)


@settings(max_examples=200, deadline=None)
@given(boxes)
def test_corner_moves_in_steps_and_keeps_coordinates_positive(windows):
    held = FixedOrigin()
    previous = None
    largest_extent = 0
    for low, extent in windows:
        index = np.array([low, np.add(low, extent)])
        corner, _ = held.update(index, np.zeros(3), 0.02)
        grid = index - corner
        assert grid.min() >= 0
        largest_extent = max(largest_extent, max(extent))
        assert grid.max() < 4 * max(largest_extent + 2 * STEP, 256)
        if previous is not None:
            assert (np.abs(corner - previous) % STEP == 0).all()
        previous = corner.copy()


@settings(max_examples=100, deadline=None)
@given(
    st.tuples(*[coordinate] * 3),
    st.tuples(*[st.integers(1, 2000)] * 3),
    st.lists(st.tuples(*[st.integers(-60, 60)] * 6), max_size=20),
)
def test_border_noise_never_moves_the_corner(low, extent, noise):
    held = FixedOrigin()
    low = np.array(low)
    high = low + extent
    corner, _ = held.update(np.array([low, high]), np.zeros(3), 0.02)
    depth = int((high - corner).max() + 1).bit_length()
    for shift in noise:
        noisy = np.array([low + np.minimum(shift[:3], 0), high + np.maximum(shift[3:], 0)])
        after, _ = held.update(noisy, np.zeros(3), 0.02)
        np.testing.assert_array_equal(after, corner)
        assert int((noisy[1] - after).max() + 1).bit_length() == depth


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(*[st.floats(-1e4, 1e4)] * 3), min_size=1, max_size=20))
def test_centre_moves_in_steps_of_64_voxels_and_stays_near(centres):
    held = FixedOrigin()
    previous = None
    index = np.zeros((1, 3), np.int32)
    for exact in np.array(centres):
        _, centre = held.update(index, exact, 0.05)
        assert np.abs(centre - exact).max() <= 48 * 0.05 + 1e-6
        if previous is None:
            np.testing.assert_array_equal(centre, exact)
        else:
            steps = (centre - previous) / (STEP * 0.05)
            np.testing.assert_allclose(steps, np.round(steps), atol=1e-6)
        previous = centre.copy()


def test_a_robot_driving_away_does_not_let_the_grid_grow():
    held = FixedOrigin()
    corners = set()
    for step in range(3000):
        low = np.array([step * 5, -step * 3, 0])
        index = np.array([low, low + [400, 300, 120]])
        corner, _ = held.update(index, np.zeros(3), 0.02)
        corners.add(tuple(corner))
        assert (index - corner).min() >= 0
        assert (index - corner).max() < 1024
    assert 10 < len(corners) < 300


def test_reset_and_a_new_voxel_size_place_the_origin_again():
    held = FixedOrigin()
    index = np.array([[0, 0, 0], [100, 100, 100]])
    held.update(index, np.zeros(3), 0.02)
    _, centre = held.update(index, np.full(3, 0.5), 0.02)
    np.testing.assert_array_equal(centre, np.zeros(3))
    _, centre = held.update(index, np.full(3, 0.5), 0.05)
    np.testing.assert_array_equal(centre, np.full(3, 0.5))
    held.reset()
    _, centre = held.update(index, np.full(3, 0.7), 0.05)
    np.testing.assert_array_equal(centre, np.full(3, 0.7))

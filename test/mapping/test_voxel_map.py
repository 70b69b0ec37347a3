# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The rolling map, against a slow dictionary in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from concerto_ros.mapping.voxel_grid import LATTICE_LIMIT, grid_sample, pack, unpack
from concerto_ros.mapping.voxel_map import OBSERVATION_LIMIT, VoxelMap
from concerto_ros.sensors.frame import Frame

SECOND = 1_000_000_000
HOME = np.zeros(3)


class SlowMap:
    """What VoxelMap is meant to do, one voxel at a time."""

    def __init__(self, voxel_size, window_seconds, window_frames, radius, max_voxels):
        self.size, self.window = voxel_size, round(window_seconds * SECOND)
        self.window_frames, self.radius, self.max_voxels = window_frames, radius, max_voxels
        self.voxels, self.stamps, self.robot = {}, [], HOME

    def oldest(self):
        oldest = max(self.stamps) - self.window
        if 0 < self.window_frames <= len(self.stamps):
            oldest = max(oldest, sorted(self.stamps)[-self.window_frames])
        return oldest

    def distance(self, index):
        x, y, z = (np.array(index) + 0.5) * self.size - self.robot
        return x**2 + y**2 + z**2

    def insert(self, frame, robot):
        """Returns (points, voxels, evicted, outdated)."""
        if self.stamps and frame.stamp < self.oldest():
            return 0, 0, 0, True
        if not self.stamps or frame.stamp >= max(self.stamps):
            self.robot = robot
        self.stamps.append(frame.stamp)
        oldest = self.oldest()
        if frame.stamp < oldest:
            return 0, 0, 0, True
        self.voxels = {k: v for k, v in self.voxels.items() if v["stamp"] >= oldest}
        seen = {}
        for row, point in enumerate(frame.points.astype(np.float64)):
            index = tuple(math.floor(v / self.size) for v in point)
            if not self.radius or self.distance(index) <= self.radius**2:
                seen.setdefault(index, []).append(row)
        for index, rows in seen.items():
            voxel = self.voxels.setdefault(
                index, dict(p=0.0, c=0.0, n=0.0, t=0.0, count=0.0, colored=0.0, stamp=frame.stamp)
            )
            points = frame.points[rows].astype(np.float64)
            toward = frame.origin - points.mean(axis=0)
            voxel["p"] = voxel["p"] + points.sum(axis=0)
            voxel["t"] = voxel["t"] + toward / np.linalg.norm(toward) * len(rows)
            voxel["count"] += len(rows)
            if frame.colors is not None:
                voxel["c"] = voxel["c"] + frame.colors[rows].astype(np.float64).sum(axis=0)
                voxel["colored"] += len(rows)
            if frame.normals is not None:
                voxel["n"] = voxel["n"] + frame.normals[rows].astype(np.float64).sum(axis=0)
            voxel["stamp"] = max(voxel["stamp"], frame.stamp)
        order = sorted(self.voxels, key=lambda index: (self.distance(index), index))
        gone = order[self.max_voxels :]
        for index in gone:
            del self.voxels[index]
        evicted = sum(not self.radius or self.distance(k) <= self.radius**2 for k in gone)
        return sum(map(len, seen.values())), len(seen), evicted, False

    def snapshot(self):
        if self.radius:
            self.voxels = {
                k: v for k, v in self.voxels.items() if self.distance(k) <= self.radius**2
            }
        return sorted(self.voxels.items())


def assert_same(snapshot, slow):
    expected = slow.snapshot()
    assert [tuple(row) for row in snapshot.index.tolist()] == [index for index, _ in expected]
    assert len(snapshot) == len(expected)
    voxels = [voxel for _, voxel in expected]
    points, colors, normals, toward = (
        np.array([voxel[name] * np.ones(3) for voxel in voxels]).reshape(-1, 3) for name in "pcnt"
    )
    count, colored = (
        np.array([voxel[name] for voxel in voxels])[:, None] for name in ("count", "colored")
    )
    np.testing.assert_allclose(snapshot.points, points / count, atol=1e-5)
    np.testing.assert_array_equal(snapshot.has_color[:, None], colored > 0)
    np.testing.assert_allclose(snapshot.colors, colors / np.maximum(colored, 1), atol=1e-3)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True).clip(1e-9)
    np.testing.assert_allclose(snapshot.normals, normals, atol=1e-4)
    toward /= np.linalg.norm(toward, axis=1, keepdims=True)
    np.testing.assert_allclose(snapshot.sensor_directions, toward, atol=1e-4)
    np.testing.assert_array_equal(snapshot.stamps, [voxel["stamp"] for voxel in voxels])
    np.testing.assert_array_equal(snapshot.robot, slow.robot)
    if slow.stamps:
        assert snapshot.stamp == max(slow.stamps)
        assert snapshot.frames == sum(stamp >= slow.oldest() for stamp in slow.stamps)


step = st.fixed_dictionaries(
    dict(
        wait=st.sampled_from([0.0, 0.1, 0.5, 1.0, 1.5, 4.0, -0.2, -0.7, -1.2, -3.0]),
        points=st.integers(0, 25),
        seed=st.integers(0, 2**31),
        robot=st.tuples(*[st.integers(-2, 2)] * 3),
        color=st.booleans(),
        normal=st.booleans(),
        snapshot=st.booleans(),
    )
)


@settings(max_examples=150, deadline=None)
@given(
    steps=st.lists(step, min_size=1, max_size=10),
    window_frames=st.sampled_from([0, 0, 1, 3]),
    radius=st.sampled_from([0.0, 0.0, 1.7]),
    max_voxels=st.sampled_from([1, 7, 30, 1000]),
)
def test_equals_a_slow_dictionary(steps, window_frames, radius, max_voxels):
    limits = dict(window_seconds=1.0, window_frames=window_frames, radius=radius)
    fast = VoxelMap(0.5, **limits, max_voxels=max_voxels)
    slow = SlowMap(0.5, **limits, max_voxels=max_voxels)
    stamp = 100 * SECOND
    for number, each in enumerate(steps):
        stamp += round(each["wait"] * SECOND)
        random = np.random.default_rng(each["seed"])
        size = (each["points"], 3)
        normals = random.normal(size=size)
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        frame = Frame(
            random.uniform(-2, 2, size).astype(np.float32),
            stamp,
            "odom",
            colors=random.integers(0, 256, size, dtype=np.uint8) if each["color"] else None,
            normals=normals.astype(np.float32) if each["normal"] else None,
            origin=np.array([0.3, 9.0, 0.1 * number]),
        )
        robot = np.array(each["robot"], dtype=np.float64)
        done = fast.insert(frame, robot)
        expected = slow.insert(frame, robot)
        counted = (done.points, done.voxels, done.evicted, done.outdated)
        assert counted == expected
        assert fast.newest_stamp == max(slow.stamps)
        assert len(fast) <= max_voxels
        if each["snapshot"]:
            assert_same(fast.snapshot(), slow)
    assert_same(fast.snapshot(), slow)


def frame(points, seconds=1.0, **arrays):
    return Frame(np.float32(points).reshape(-1, 3), round(seconds * SECOND), "odom", **arrays)


def new_map(voxel_size=0.1, window_seconds=10.0, max_voxels=1000, **limits):
    return VoxelMap(voxel_size, window_seconds=window_seconds, max_voxels=max_voxels, **limits)


def test_one_point_and_negative_coordinates():
    voxels = new_map()
    voxels.insert(frame([[-0.01, 0.25, -7.32]]), HOME)
    snapshot = voxels.snapshot()
    assert snapshot.index.tolist() == [[-1, 2, -74]]
    np.testing.assert_allclose(snapshot.points, [[-0.01, 0.25, -7.32]], atol=1e-6)
    assert not snapshot.has_color.any()
    assert not snapshot.colors.any()
    assert not snapshot.normals.any()
    np.testing.assert_allclose(np.linalg.norm(snapshot.sensor_directions, axis=1), 1, atol=1e-6)


def test_an_empty_map_gives_an_empty_snapshot():
    voxels = new_map()
    assert voxels.newest_stamp is None
    snapshot = voxels.snapshot()
    assert len(snapshot) == len(voxels) == snapshot.stamp == snapshot.frames == 0
    assert snapshot.points.shape == snapshot.normals.shape == (0, 3)
    assert len(snapshot.with_normals()) == 0


def test_an_empty_frame_still_moves_the_window_on():
    voxels = new_map(window_seconds=2.0)
    voxels.insert(frame([[1, 1, 1]], seconds=1), HOME)
    done = voxels.insert(frame([], seconds=4), HOME)
    assert done.points == done.voxels == 0
    assert len(voxels) == 0
    assert voxels.newest_stamp == 4 * SECOND


def test_seen_again_after_the_window_a_voxel_starts_from_scratch():
    voxels = new_map(window_seconds=2.0)
    voxels.insert(frame([[0.01, 0, 0]], 1, colors=np.uint8([[200, 0, 0]])), HOME)
    voxels.insert(frame([[0.03, 0, 0]], 3), HOME)
    assert voxels.snapshot().points[0, 0] == pytest.approx(0.02)
    assert voxels.snapshot().has_color.all()
    voxels.insert(frame([[0.07, 0, 0]], 6), HOME)
    assert voxels.snapshot().points[0, 0] == pytest.approx(0.07)
    assert not voxels.snapshot().has_color.any()


def test_a_late_frame_within_the_window_neither_moves_time_nor_the_robot_back():
    voxels = new_map(window_seconds=2.0)
    voxels.insert(frame([[0, 0, 0]], 10), np.array([1.0, 0, 0]))
    assert not voxels.insert(frame([[5, 0, 0]], 9), np.array([2.0, 0, 0])).outdated
    snapshot = voxels.snapshot()
    assert snapshot.stamp == 10 * SECOND
    assert snapshot.robot.tolist() == [1, 0, 0]
    assert snapshot.stamps.tolist() == [10 * SECOND, 9 * SECOND]
    assert voxels.insert(frame([[5, 0, 0]], 7.9), HOME).outdated


def test_the_farthest_voxels_leave_first_and_are_counted():
    voxels = new_map(1.0, max_voxels=10)
    line = np.stack([np.arange(25) + 0.5, np.full(25, 0.5), np.full(25, 0.5)], axis=1)
    robot = np.array([20.5, 0.5, 0.5])
    done = voxels.insert(frame(line), robot)
    assert done.evicted == 15
    # 16 and 24 are equally far; so are none of the others that matter.
    assert voxels.snapshot().index[:, 0].tolist() == list(range(15, 25))
    done = voxels.insert(frame(line[:3], 2), np.array([0.5, 0.5, 0.5]))
    assert done.evicted == 3
    assert voxels.snapshot().index[:, 0].tolist() == [0, 1, 2, *range(15, 22)]


def test_equally_far_voxels_leave_in_a_fixed_order():
    corners = np.stack(np.meshgrid([-1, 1], [-1, 1], [-1, 1]), axis=-1).reshape(-1, 3) * 2.5
    for order in (slice(None), slice(None, None, -1)):
        voxels = new_map(1.0, max_voxels=3)
        voxels.insert(frame(corners[order]), HOME)
        assert voxels.snapshot().index.tolist() == [[-3, -3, -3], [-3, -3, 2], [-3, 2, -3]]


def test_expired_voxels_make_room_before_any_is_evicted():
    voxels = new_map(1.0, window_seconds=1.0, max_voxels=4)
    voxels.insert(frame(np.eye(3) * 2.5, 1), HOME)
    done = voxels.insert(frame(np.eye(3) * 5.5, 3), HOME)
    assert done.evicted == 0
    assert len(voxels) == 3


def test_radius_follows_the_robot():
    voxels = new_map(1.0, radius=5.0)
    done = voxels.insert(frame([[0.5, 0, 0], [4.5, 0, 0], [40, 0, 0]]), HOME)
    assert done.points == done.voxels == 2
    voxels.insert(frame([], 2), np.array([8.0, 0, 0]))
    assert voxels.snapshot().index.tolist() == [[4, 0, 0]]


def test_window_in_frames():
    voxels = new_map(1.0, window_frames=2)
    for second in range(1, 6):
        voxels.insert(frame([[second + 0.5, 0, 0]], second), HOME)
    snapshot = voxels.snapshot()
    assert snapshot.index[:, 0].tolist() == [4, 5]
    assert snapshot.frames == 2
    assert voxels.insert(frame([[9, 9, 9]], 3), HOME).outdated


def test_points_off_the_lattice_are_counted_and_never_wrap():
    edge = LATTICE_LIMIT * 0.5
    inside = [[-edge, 0, 0], [edge - 0.25, 0, 0], [0, 0, edge - 0.25], [0.1, 0.1, 0.1]]
    outside = [[edge, 0, 0], [-edge - 0.25, 0, 0], [0, 3e9, 0], [0, 0, 1e30]]
    outside += [[np.nan, 0, 0], [0, np.inf, 0]]
    colors = np.arange(30, dtype=np.uint8).reshape(10, 3)
    voxels = new_map(0.5)
    done = voxels.insert(frame(inside + outside, colors=colors), HOME)
    assert done.outside == 6
    assert done.points == 4
    snapshot = voxels.snapshot()
    limit = LATTICE_LIMIT
    assert snapshot.index[:, 0].tolist() == [-limit, 0, 0, limit - 1]
    np.testing.assert_array_equal(snapshot.keys, pack(snapshot.index))
    np.testing.assert_allclose(snapshot.points[1:3], [inside[3], inside[2]])
    np.testing.assert_array_equal(snapshot.colors, colors[[0, 3, 2, 1]])
    assert voxels.insert(frame(outside), HOME).outside == 6
    rows = grid_sample(np.array(outside + inside, np.float32), 0.5, inverse=True).inverse
    assert rows.tolist() == [-1] * 6 + [0, 3, 2, 1]


def test_keys_sort_like_indices():
    limit = LATTICE_LIMIT
    index = np.array([[-limit] * 3, [-1, 5, limit - 1], [0, -limit, 0], [limit - 1] * 3], np.int32)
    key = pack(index)
    assert (key >= 0).all()
    assert (np.diff(key) > 0).all()
    np.testing.assert_array_equal(unpack(key), index)


@pytest.mark.parametrize("reach", [3.0, 3000.0])
@pytest.mark.parametrize("count", [1, 63, 64, 65, 5000])
def test_sums_of_narrow_and_wide_frames(count, reach):
    # A wide frame needs 64-bit keys, a narrow one 32; sizes straddle the blocks of the bounds.
    random = np.random.default_rng(count)
    points = random.uniform(-reach, reach, (count, 3)).astype(np.float32)
    points[count // 2 :] = points[: count - count // 2]
    sampled = grid_sample(points, 0.25, normals=points, inverse=True)
    index = np.floor(points.astype(np.float64) / 0.25).astype(int)
    expected, inverse = np.unique(index, axis=0, return_inverse=True)
    np.testing.assert_array_equal(sampled.index, expected)
    np.testing.assert_array_equal(sampled.inverse, inverse.ravel())
    np.testing.assert_array_equal(sampled.count, np.bincount(inverse.ravel()))
    sums = np.zeros((len(expected), 3))
    np.add.at(sums, inverse.ravel(), points.astype(np.float64))
    np.testing.assert_allclose(sampled.normal, sums, rtol=1e-5, atol=1e-3)
    lattice = (sampled.index * sampled.count[:, None] + sampled.fraction) * 0.25
    np.testing.assert_allclose(lattice, sums, rtol=1e-5, atol=1e-3)


def test_far_from_the_origin_a_voxel_knows_its_point_as_well_as_the_sensor_does():
    random = np.random.default_rng(0)
    points = (random.uniform(0, 3, (500, 3)) + [20_000, -15_000, 0]).astype(np.float32)
    voxels = new_map(0.05)
    voxels.insert(Frame(points, SECOND, "odom", origin=np.array([2e4, -1.5e4, 10])), HOME)
    snapshot = voxels.snapshot()
    index = np.floor(points.astype(np.float64) / 0.05)
    np.testing.assert_array_equal(snapshot.index, np.unique(index, axis=0))
    offset = np.array([2e4, -1.5e4, 10]) - snapshot.points
    offset /= np.linalg.norm(offset, axis=1, keepdims=True)
    np.testing.assert_allclose(snapshot.sensor_directions, offset, atol=1e-3)


def test_snapshots_are_read_only_and_do_not_change_afterwards():
    voxels = new_map()
    voxels.insert(frame([[0.01, 0, 0]], 1, colors=np.uint8([[10, 20, 30]])), HOME)
    snapshot = voxels.snapshot()
    before = {name: np.copy(value) for name, value in vars(snapshot).items()}
    for value in vars(snapshot).values():
        if isinstance(value, np.ndarray):
            with pytest.raises(ValueError, match="read-only"):
                value[...] = 0
    with pytest.raises(AttributeError):
        snapshot.stamp = 3
    voxels.insert(frame([[0.05, 0.01, 0.02]], 2, colors=np.uint8([[90, 90, 90]])), HOME)
    voxels.clear()
    for name, value in before.items():
        np.testing.assert_array_equal(getattr(snapshot, name), value)


def test_results_do_not_depend_on_the_table_or_on_what_was_there_before():
    random = np.random.default_rng(3)
    frames = [
        frame(
            random.normal(size=(3000, 3)),
            second,
            colors=random.integers(0, 256, (3000, 3), dtype=np.uint8),
        )
        for second in range(1, 8)
    ]
    used = new_map(max_voxels=40_000, window_seconds=3)
    used.insert(frame(random.normal(size=(5000, 3)) * 3), HOME)
    used.snapshot()
    used.clear()
    assert len(used) == 0
    fresh = new_map(max_voxels=1_000_000, window_seconds=3)
    for each in frames:
        used.insert(each, HOME)
        fresh.insert(each, HOME)
        used.snapshot()
    for name, value in vars(used.snapshot()).items():
        if name in ("generation", "slots", "map_cells"):  # each map has its own
            continue
        np.testing.assert_array_equal(getattr(fresh.snapshot(), name), value)


def test_a_place_long_in_view_keeps_following_the_sensor():
    voxels = new_map()
    count = int(OBSERVATION_LIMIT) // 4
    for second, color in [(1, 0)] * 20 + [(2, 200)] * 20:
        colors = np.full((count, 3), color, dtype=np.uint8)
        voxels.insert(frame([[0.02, 0.03, 0.04]] * count, second, colors=colors), HOME)
    snapshot = voxels.snapshot()
    np.testing.assert_allclose(snapshot.points, [[0.02, 0.03, 0.04]], atol=1e-6)
    assert 180 < snapshot.colors[0, 0] < 200
    for _ in range(80):
        voxels.insert(frame([[0.02, 0.03, 0.04]] * count, 3), HOME)
    assert not voxels.snapshot().has_color.any()


def test_mixed_inputs_share_a_voxel():
    voxels = new_map()
    up, side = np.float32([[0, 0, 1]]), np.float32([[1, 0, 0]])
    voxels.insert(frame([[0.01, 0, 0]], normals=up), HOME)
    voxels.insert(frame([[0.03, 0, 0]], colors=np.uint8([[100, 150, 200]])), HOME)
    voxels.insert(frame([[0.05, 0, 0]], normals=side), HOME)
    snapshot = voxels.snapshot()
    assert snapshot.points[0, 0] == pytest.approx(0.03)
    np.testing.assert_allclose(snapshot.colors, [[100, 150, 200]])
    np.testing.assert_allclose(snapshot.normals, [[0.5**0.5, 0, 0.5**0.5]], atol=1e-6)


def test_opposite_normals_in_one_voxel_count_as_unknown():
    voxels = new_map()
    up = np.float32([[0, 0, 1]])
    voxels.insert(frame([[0.01, 0, 0]], normals=up), HOME)
    voxels.insert(frame([[0.01, 0, 0]], normals=-up), HOME)
    assert not voxels.snapshot().normals.any()


def test_missing_normals_are_filled_and_known_ones_kept():
    grid = np.stack(np.meshgrid(np.arange(20), np.arange(20)), axis=-1).reshape(-1, 2) * 0.1
    floor = np.column_stack([grid + 0.05, np.full(len(grid), 0.05)])
    known = np.zeros((len(floor), 3), dtype=np.float32)
    known[:50] = [0.6, 0, 0.8]
    voxels = new_map()
    voxels.insert(frame(floor, normals=known, origin=np.array([1.0, 1.0, 2.0])), HOME)
    before = voxels.snapshot()
    missing = ~before.normals.any(axis=1)
    assert missing.sum() == 350
    after = before.with_normals()
    np.testing.assert_allclose(after.normals[missing], np.tile([0, 0, 1], (350, 1)), atol=1e-4)
    np.testing.assert_array_equal(after.normals[~missing], before.normals[~missing])
    assert after.normals.dtype == np.float32
    assert not after.normals.flags.writeable
    assert after.with_normals() is after


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("voxel_size", 0.0),
        ("voxel_size", math.nan),
        ("window_seconds", -1.0),
        ("window_frames", -1),
        ("radius", -0.1),
        ("max_voxels", 0),
    ],
)
def test_wrong_parameters_are_named(parameter, value):
    good = dict(voxel_size=0.1, window_seconds=1.0, max_voxels=10)
    with pytest.raises(ValueError, match=f"{parameter}: got {value}, expected "):
        VoxelMap(**{**good, parameter: value})

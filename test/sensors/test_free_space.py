# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Voxels that newer readings see through leave the map, and nothing else does."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from concerto_ros.intake.inputs import Pending
from concerto_ros.intake.opening import open_input
from concerto_ros.intake.tally import NoTally
from concerto_ros.labels.packed_cloud import pack_cloud
from concerto_ros.mapping.voxel_grid import find_keys, voxel_keys
from concerto_ros.mapping.voxel_map import VoxelMap
from concerto_ros.sensors.camera_model import CameraModel
from concerto_ros.sensors.frame import Frame
from concerto_ros.sensors.free_space import DepthView, ScanView
from concerto_ros.sensors.nearest_readings import NearestReadings
from concerto_ros.settings.inputs import CloudInput
from concerto_ros.settings.settings import Settings
from concerto_ros.sim import SensorNoise

SECOND = 1_000_000_000
SIZE = 0.05
WIDTH, HEIGHT, FOCAL = 160, 120, 130.0
CAMERA = CameraModel(FOCAL, FOCAL, WIDTH / 2, HEIGHT / 2, WIDTH, HEIGHT)

#: From the optical frame (z forward) to one with x forward and z up.
OPTICAL = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])

#: The corners of the room, metres: the floor is z = 0.
LOW, HIGH = np.array([-4.0, -3, 0]), np.array([6.0, 3, 2.5])

#: Upright things: place, radius, lowest and highest point.
PERSON = (2.5, 0.0, 0.25, 0.0, 1.7)
POLE = (2.0, 0.5, 0.01, 0.0, 2.0)


def cast(origin, rays, *things):
    """Distance, in lengths of the rays (N, 3), to the walls of the room or to ``things``."""
    with np.errstate(divide="ignore", invalid="ignore"):
        far = np.where(rays > 0, HIGH - origin, LOW - origin) / np.where(rays == 0, 1e-9, rays)
        distance = np.where(far > 0, far, np.inf).min(axis=1)
        for x, y, radius, low, high in things:
            a = (rays[:, :2] ** 2).sum(axis=1)
            offset = origin[:2] - [x, y]
            b = rays[:, :2] @ offset
            root = b * b - a * (offset @ offset - radius**2)
            hit = (-b - np.sqrt(root)) / a
            z = origin[2] + hit * rays[:, 2]
            good = (hit > 0) & (z >= low) & (z <= high)
            distance = np.where(good, np.fmin(distance, hit), distance)
    return distance


def level(origin, pitch=0.0):
    """Pose of a sensor that looks along x, turned down by ``pitch`` radians."""
    turn = np.array(
        [[np.cos(pitch), 0, np.sin(pitch)], [0, 1, 0], [-np.sin(pitch), 0, np.cos(pitch)]]
    )
    return turn, np.asarray(origin, np.float64)


def depth_frame(pose, stamp, *things, noise=None, holes=None, error=0.0):
    """What a camera sees from ``pose``; ``error`` radians turn where it is believed to look."""
    turn, origin = pose
    rays = CAMERA.rays().reshape(-1, 3).astype(np.float64)
    depth = cast(origin, rays @ (turn @ OPTICAL).T, *things).reshape(HEIGHT, WIDTH)
    depth = depth.astype(np.float32)
    if noise is not None:
        slant = np.ones_like(depth)
        depth = SensorNoise(max_range=12.0).depth(depth, slant, FOCAL, noise)
    depth[depth <= 0] = np.nan
    if holes is not None:
        depth[holes] = np.nan
    seen = np.isfinite(depth).ravel()
    points = (rays * depth.reshape(-1, 1))[seen].astype(np.float32)
    frame = Frame(points, stamp, "camera", view=DepthView(CAMERA, depth))
    believed = level(origin, error)[0] @ turn @ OPTICAL
    return frame.transformed(believed, origin, "odom")


def scan_frame(pose, stamp, *things, noise=None, holes=None):
    """What a LiDAR of 32 rings sees from ``pose``."""
    turn, origin = pose
    azimuth, elevation = np.meshgrid(
        np.arange(-np.pi, np.pi, np.radians(0.2)), np.radians(np.linspace(-20, 20, 32))
    )
    rays = np.stack(
        [
            np.cos(elevation) * np.cos(azimuth),
            np.cos(elevation) * np.sin(azimuth),
            np.sin(elevation),
        ],
        axis=-1,
    ).reshape(-1, 3)
    distance = cast(origin, rays @ turn.T, *things)
    if noise is not None:
        distance += 0.02 * noise.standard_normal(len(distance))
    points = (rays * distance[:, None]).astype(np.float32)
    if holes is not None:
        points[holes] = np.nan
    frame = Frame(points[np.isfinite(points).all(axis=1)], stamp, "lidar", view=ScanView(points))
    return frame.transformed(turn, origin, "odom")


SENSORS = pytest.mark.parametrize("see", [depth_frame, scan_frame], ids=["camera", "lidar"])


def new_map(clear_after=2, **limits):
    given = {"window_seconds": 100.0, "max_voxels": 100_000} | limits
    return VoxelMap(SIZE, clear_after=clear_after, **given)


def occupied(voxels, points):
    """(N,) whether the map holds the voxel of each point."""
    snapshot = voxels.snapshot()
    return snapshot.rows_of(np.asarray(points, np.float32).reshape(-1, 3)) >= 0


def only_of(thing, see, pose):
    """Points on ``thing`` whose voxels hold nothing else."""
    keys = [voxel_keys(see(pose, 0, *things).points, SIZE) for things in ((thing,), ())]
    with_it = see(pose, 0, thing).points
    return with_it[find_keys(np.unique(keys[1]), keys[0]) < 0]


@SENSORS
def test_who_walks_away_leaves_nothing(see):
    pose, voxels = level([0, 0, 0.8]), new_map()
    body = only_of(PERSON, see, pose)
    body = body[(body[:, 2] > 0.15) & (body[:, 2] < 1.6)]
    for number in range(3):
        voxels.insert(see(pose, number * SECOND, PERSON), pose[1])
    assert len(body) > 100 and occupied(voxels, body).all()
    cleared = 0
    for number in range(3, 6):
        done = voxels.insert(see(pose, number * SECOND), pose[1])
        cleared += done.cleared
    assert not occupied(voxels, body).any()
    assert cleared >= len(np.unique(voxel_keys(body, SIZE)))


@SENSORS
def test_who_walks_across_leaves_no_trail(see):
    random, voxels = np.random.default_rng(0), new_map()
    for number, y in enumerate(np.linspace(-1, 1, 9)):
        someone = (2.5, y, 0.25, 0.0, 1.7)
        pose = level([0.02 * number, 0, 0.8])
        voxels.insert(see(pose, number * SECOND, someone, noise=random), pose[1])
    points = voxels.snapshot().points
    upright = points[(points[:, 2] > 0.2) & (points[:, 2] < 1.5) & (np.abs(points[:, 1]) < 1.5)]
    upright = upright[(upright[:, 0] > 1) & (upright[:, 0] < 5)]
    # The newest two places of the nine; what the next frame would clear is still there.
    assert len(upright) > 50 and (upright[:, 1] > 0.3).mean() > 0.97


@SENSORS
def test_without_the_parameter_nothing_leaves(see):
    pose, voxels = level([0, 0, 0.8]), new_map(clear_after=0)
    voxels.insert(see(pose, 0, PERSON), pose[1])
    body = see(pose, 0, PERSON).points
    for number in range(1, 5):
        assert voxels.insert(see(pose, number * SECOND), pose[1]).cleared == 0
    assert occupied(voxels, body).all()


@SENSORS
def test_a_thin_pole_stays(see):
    random, voxels = np.random.default_rng(1), new_map(clear_after=1)
    first = see(level([0, 0, 0.8]), 0, POLE).points
    pole = first[np.hypot(first[:, 0] - POLE[0], first[:, 1] - POLE[1]) < 0.02]
    for number in range(12):
        pose = level([0.03 * number, 0.01 * number, 0.8])
        voxels.insert(see(pose, number * SECOND, POLE, noise=random), pose[1])
        here = occupied(voxels, pole)
    assert len(pole) > 10 and here.mean() > 0.95


@pytest.mark.parametrize("height", [0.15, 0.3, 1.0])
def test_a_grazing_floor_stays(height):
    """Of a low camera that is believed to look a quarter of a degree off, this way and that."""
    random, voxels = np.random.default_rng(2), new_map(clear_after=1)
    floor = []
    for number in range(10):
        pose = level([0.05 * number, 0, height])
        frame = depth_frame(pose, number * SECOND, noise=random, error=0.0043 * (-1) ** number)
        assert voxels.insert(frame, pose[1]).cleared < 0.002 * len(voxels)
        floor.append(frame.points[np.abs(frame.points[:, 2]) < 0.02])
    floor = np.concatenate(floor)
    assert floor[:, 0].max() > 3 and occupied(voxels, floor).mean() > 0.995


def test_a_floor_between_the_rings_of_a_lidar_stays():
    """Rings meet it metres apart, at other places with every step of the robot."""
    random, voxels = np.random.default_rng(3), new_map(clear_after=1)
    floor = []
    for number in range(8):
        pose = level([0.07 * number, 0, 0.6])
        frame = scan_frame(pose, number * SECOND, noise=random)
        voxels.insert(frame, pose[1])
        low = frame.points[frame.points[:, 2] < 0.1]
        floor.append(low[np.hypot(low[:, 0], low[:, 1]) < 5])
    floor = np.concatenate(floor)
    assert len(floor) > 1000 and occupied(voxels, floor).mean() > 0.995


@SENSORS
@pytest.mark.parametrize("what", ["holes", "nearer", "behind the sensor"])
def test_what_is_not_seen_through_stays(see, what):
    pose, voxels = level([0, 0, 0.8]), new_map(clear_after=1)
    body = only_of(PERSON, see, pose)
    voxels.insert(see(pose, 0, PERSON), pose[1])
    after = {
        "holes": lambda: see(pose, SECOND, holes=Ellipsis),
        "nearer": lambda: see(pose, SECOND, (1.0, 0.0, 0.6, 0.0, 2.5)),
        "behind the sensor": lambda: see(level([4.0, 0, 0.8]), SECOND),
    }[what]()
    if what == "behind the sensor" and see is scan_frame:
        after.view.points[after.view.points[:, 0] < 0] = np.nan  # a LiDAR sees all around
    voxels.insert(after, pose[1])
    assert occupied(voxels, body).all()


def test_holes_in_the_voxel_itself_keep_it():
    pose, voxels = level([0, 0, 0.8]), new_map(clear_after=1)
    voxels.insert(depth_frame(pose, 0, POLE), pose[1])
    points = depth_frame(pose, 0, POLE).points
    pole = points[np.hypot(points[:, 0] - POLE[0], points[:, 1] - POLE[1]) < 0.02]
    lost = depth_frame(pose, 0, POLE).view.depth < 2.1  # the pole reads as nothing now
    for number in range(1, 4):
        voxels.insert(depth_frame(pose, number * SECOND, holes=lost), pose[1])
    assert occupied(voxels, pole).mean() > 0.95


@SENSORS
def test_a_voxel_seen_again_is_counted_from_the_start(see):
    pose, voxels = level([0, 0, 0.8]), new_map(clear_after=2)
    body = only_of(PERSON, see, pose)
    body = body[(body[:, 2] > 0.3) & (body[:, 2] < 1.5)]
    held = []
    for number, there in enumerate((True, False, True, False, False)):
        things = (PERSON,) if there else ()
        voxels.insert(see(pose, number * SECOND, *things), pose[1])
        held.append(occupied(voxels, body).mean())
    assert held == [1, 1, 1, 1, 0]


@SENSORS
def test_an_older_frame_says_nothing_about_newer_voxels(see):
    pose, voxels = level([0, 0, 0.8]), new_map(clear_after=1)
    voxels.insert(see(pose, 5 * SECOND, PERSON), pose[1])
    assert voxels.insert(see(pose, 4 * SECOND), pose[1]).cleared == 0
    assert voxels.insert(see(pose, 6 * SECOND), pose[1]).cleared > 0


def test_a_cleared_voxel_that_is_seen_again_starts_from_scratch():
    pose, voxels = level([0, 0, 0.8]), new_map(clear_after=1)
    for number, things in enumerate([(PERSON,), (), (PERSON,)]):
        voxels.insert(depth_frame(pose, number * SECOND, *things), pose[1])
    snapshot = voxels.snapshot()
    body = only_of(PERSON, depth_frame, pose)
    body = body[(body[:, 2] > 0.3) & (body[:, 2] < 1.5)]
    assert (snapshot.first_seen[snapshot.rows_of(body)] == 2 * SECOND).all()


def test_a_scan_of_one_ring_clears_its_own_height():
    angles = np.arange(-np.pi, np.pi, np.radians(0.5))
    ring = np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1)
    voxels, home = new_map(clear_after=1), np.zeros(3)
    near, far = np.float32(2 * ring), np.float32(4 * ring)
    voxels.insert(Frame(near, 0, "odom", view=ScanView(near)), home)
    above = np.float32(2 * ring + [0, 0, 0.5])
    voxels.insert(Frame(above, 0, "odom"), home)
    voxels.insert(Frame(far, SECOND, "odom", view=ScanView(far)), home)
    assert occupied(voxels, near).mean() < 0.2 and occupied(voxels, above).all()


def test_empty_scans_and_readings_at_the_sensor_clear_nothing():
    pose, voxels = level([0, 0, 0.8]), new_map(clear_after=1)
    voxels.insert(scan_frame(pose, 0, PERSON), pose[1])
    for points in (np.zeros((0, 3)), np.zeros((50, 3)), np.full((9, 3), np.nan), [[0, 0, 5.0]]):
        view = ScanView(np.float32(points)).moved(*pose)
        empty = Frame(np.zeros((0, 3), np.float32), SECOND, "odom", view=view)
        assert voxels.insert(empty, pose[1]).cleared == 0


@pytest.mark.parametrize(
    ("frame_id", "robot_frame", "clears", "known"),
    [
        ("lidar", "", True, True),
        ("lidar", "base_link", True, True),
        ("lidar", "", False, False),
        ("odom", "", True, False),
        ("/odom", "", True, False),
        ("base_link", "base_link", True, False),
    ],
)
def test_a_cloud_has_to_be_in_the_frame_of_its_sensor(frame_id, robot_frame, clears, known):
    packed = pack_cloud(np.float32([[1, 2, 3], [np.nan, 0, 0], [90, 0, 0]]))
    stamp = SimpleNamespace(sec=1, nanosec=0)
    message = SimpleNamespace(
        header=SimpleNamespace(frame_id=frame_id, stamp=stamp),
        height=1,
        width=packed.width,
        fields=[SimpleNamespace(**field._asdict(), count=1) for field in packed.fields],
        is_bigendian=False,
        point_step=packed.point_step,
        row_step=packed.point_step * packed.width,
        data=packed.data.tobytes(),
    )
    settings = Settings(robot_frame=robot_frame, min_range=0.5, max_range=8.0)
    source = open_input(CloudInput("front", "/points", clears), settings)
    frame = source.decode(Pending(message, NoTally()), settings, None)
    assert (frame.view is not None) == known and len(frame) == 1
    if known:  # what is out of range is no point of the map, and is seen through to all the same
        assert np.nanmax(frame.view.points) == 90 and frame.view.min_range == 0.5


@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    seed=st.integers(0, 2**31),
    holes=st.booleans(),
)
@hypothesis_settings(max_examples=50, deadline=None)
def test_the_nearest_of_a_square_is_the_least_in_it(shape, seed, holes):
    random = np.random.default_rng(seed)
    image = random.random(shape).astype(np.float32)
    if holes:
        image[random.random(shape) < 0.3] = np.inf
    size = random.integers(1, min(shape) + 1, 20)
    top = random.integers(0, shape[0] - size + 1)
    left = random.integers(0, shape[1] - size + 1)
    expected = [image[t : t + s, k : k + s].min() for t, k, s in zip(top, left, size, strict=True)]
    assert NearestReadings(image).within(top, left, size).tolist() == expected

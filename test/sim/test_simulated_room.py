# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The simulated room: what the camera sees agrees with the geometry, and repeats by seed."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest

from concerto_ros.sim import (
    CLASSES,
    RgbdCamera,
    Room,
    SensorNoise,
    camera_pose,
    look_at,
    trajectory,
)
from concerto_ros.sim import drive as robot_drive
from concerto_ros.sim.mesh import Finish, blob, box, cushion, lathe, rod
from concerto_ros.sim.rooms.room_types import KINDS
from concerto_ros.sim.textures import NEUTRAL, TEXTURES, tiles

FLOOR, CEILING = CLASSES.index("floor"), CLASSES.index("ceiling")


@cache
def home(seed: int) -> Room:
    """The room of a seed, made once."""
    return Room(seed)


@pytest.fixture
def room() -> Room:
    return home(0)


@pytest.fixture(scope="module")
def drive() -> np.ndarray:
    return trajectory(home(0), seconds=60.0, rate=10.0)


def world_points(camera: RgbdCamera, depth: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """Back-projection of a depth image by the camera matrix, (H, W, 3) float64."""
    row, column = np.mgrid[0 : camera.height, 0 : camera.width]
    pixels = np.stack([column, row, np.ones_like(row)], axis=-1)
    rays = pixels @ np.linalg.inv(camera.matrix).T
    return (rays * depth[..., None].astype(np.float64)) @ pose[:3, :3].T + pose[:3, 3]


def test_same_seed_same_room_same_pictures(room, drive):
    again = Room(0)
    assert np.array_equal(room.mesh.corners, again.mesh.corners)
    assert np.array_equal(room.mesh.label, again.mesh.label)
    camera = RgbdCamera(160, 120)
    first = camera.render(room, camera_pose(drive[0]), np.random.default_rng(5))
    second = camera.render(again, camera_pose(drive[0]), np.random.default_rng(5))
    for name in ("color", "depth", "label"):
        assert np.array_equal(getattr(first, name), getattr(second, name))
    assert np.array_equal(drive[:50], trajectory(again, 5.0, 10.0))


def test_other_seed_other_floor_plan_and_furniture(room):
    other = home(1)
    assert abs(room.plan.width - other.plan.width) > 0.01
    assert len(room.mesh) != len(other.mesh)
    assert not np.array_equal(trajectory(room, 3.0, 10.0), trajectory(other, 3.0, 10.0))


def test_a_room_holds_every_class(room):
    assert set(np.unique(room.mesh.label)) == set(range(len(CLASSES)))


def test_a_drive_sees_every_class(room, drive):
    camera = RgbdCamera(160, 120, noise=False)
    seen = {
        int(label)
        for pose in drive[::15]
        for label in np.unique(camera.render(room, camera_pose(pose)).label)
    }
    assert set(range(len(CLASSES))) - {CEILING} <= seen


@pytest.mark.parametrize("seed", [2, 3])
def test_furniture_stands_inside_on_the_floor(seed):
    room = home(seed)
    mesh, plan = room.mesh, room.plan
    furniture = np.isin(mesh.label, [CLASSES.index(c) for c in ("table", "chair", "sofa", "bed")])
    points = mesh.corners[furniture].reshape(-1, 3)
    half = np.array([plan.width, plan.depth]) / 2
    assert (np.abs(points[:, :2]) < half + 0.05).all()
    assert points[:, 2].min() > -0.02
    assert np.isfinite(mesh.corners).all()


def test_perfect_depth_is_the_floor_plane(room, drive):
    camera = RgbdCamera(320, 240, noise=False)
    for base in drive[::100]:
        pose = camera_pose(base)
        image = camera.render(room, pose)
        height = world_points(camera, image.depth, pose)[..., 2]
        floor = image.label == FLOOR
        assert floor.any()
        # A rug is floor too, 6 mm thick.
        assert np.abs(height[floor]).max() < 0.0065
        assert image.depth.dtype == np.float32
        assert np.isfinite(image.depth).all()


def test_perfect_depth_is_the_analytic_plane(room):
    camera = RgbdCamera(64, 48, noise=False)
    pose = look_at((0.0, 0.0, 1.9), (1e-6, 0.0, room.plan.height))
    image = camera.render(room, pose)
    ceiling = image.label == CEILING
    assert ceiling.any()
    assert np.allclose(image.depth[ceiling], room.plan.height - 1.9, atol=1e-5)


def test_noise_grows_with_distance_and_has_no_bias(room, drive):
    noisy, perfect = RgbdCamera(noise=SensorNoise(edge=0.0)), RgbdCamera(noise=False)
    pose = camera_pose(drive[0])
    truth, measured = perfect.render(room, pose).depth, noisy.render(room, pose).depth
    both = (truth > 0) & (measured > 0)
    error = measured.astype(np.float64) - truth
    near, far = (both & (low < truth) & (truth < high) for low, high in ((0.8, 1.8), (3, 6)))
    assert 0.0005 < np.median(np.abs(error[near])) < 0.008
    assert np.median(np.abs(error[far])) > 3 * np.median(np.abs(error[near]))
    assert abs(np.median(error[both])) < 0.002
    assert 0.5 < both.mean() < 1.0
    assert np.isfinite(measured).all()


def test_depth_comes_in_steps_of_disparity(room, drive):
    noise = SensorNoise()
    depth = RgbdCamera(noise=noise).render(room, camera_pose(drive[0])).depth
    steps = 1.0 / (noise.disparity_step * depth[depth > 0].astype(np.float64))
    assert np.abs(steps - np.rint(steps)).max() < 1e-3


def test_readings_are_lost_out_of_range_at_grazing_angles_and_in_the_projectors_shadow():
    noise, rng = SensorNoise(), np.random.default_rng(0)
    facing = np.ones((40, 60), np.float32)

    def measure(depth: np.ndarray, slant: np.ndarray = facing) -> np.ndarray:
        return noise.depth(depth.astype(np.float32), slant, 500.0, rng)

    assert not measure(0.3 * facing).any()
    assert not measure(7.0 * facing).any()
    assert not measure(0.0 * facing).any()
    assert measure(2.0 * facing).all()
    assert not measure(2.0 * facing, 0.02 * facing).any()
    step = np.full((40, 60), 3.0)
    step[:, 30:] = 1.0
    # The shadow is as wide as the disparities differ: f b (1 - 1 / 3) = 25 pixels.
    shadow = (measure(step)[:, :30] == 0).mean(axis=0)
    assert (shadow[6:] == 1).all()
    assert (shadow[:3] == 0).all()


def test_edges_of_near_things_have_flying_pixels():
    depth = np.full((100, 100), 2.0, np.float32)
    depth[:, :50] = 1.0
    flying = SensorNoise(edge=1.0, baseline=0.0).depth(
        depth, np.ones_like(depth), 500.0, np.random.default_rng(0)
    )
    between = (flying > 1.1) & (flying < 1.9)
    assert between[:, 48:52].any()
    assert not between[:, :45].any()
    assert not between[:, 55:].any()


def test_a_reading_at_an_edge_has_the_label_of_the_surface_that_it_is_of(room, drive):
    depth = np.full((100, 100), 2.0, np.float32)
    depth[:, :50] = 1.0
    noise = SensorNoise(edge=0.5, baseline=0.0, disparity_sigma=0.0, disparity_step=1e-4)
    measured, source = noise.measure(depth, np.ones_like(depth), 500.0, np.random.default_rng(0))
    air = source < 0
    assert np.abs(measured[~air] - depth.ravel()[source[~air]]).max() < 0.08
    assert (np.abs(measured[air] - 1.5) < 0.48).all() and air[:, 49:51].any()
    assert not air[:, :49].any() and not air[:, 51:].any()
    assert (source[:, 49:51].ravel() != np.arange(10000).reshape(100, 100)[:, 49:51].ravel()).any()

    pose, truth = camera_pose(drive[0]), RgbdCamera(160, 120, noise=False)
    noisy = RgbdCamera(160, 120, noise=SensorNoise(disparity_sigma=0.0)).render(room, pose)
    moved = noisy.label != truth.render(room, pose).label
    assert 0.001 < moved.mean() < 0.1
    assert 0 < (noisy.label == 255).mean() < 0.05


def test_color_is_a_lit_room_not_black_nor_burnt(room, drive):
    camera = RgbdCamera(160, 120)
    color = np.stack([camera.render(room, camera_pose(p)).color for p in drive[::100]])
    assert color.dtype == np.uint8
    assert 60 < color.mean() < 200
    assert (color.max(axis=-1) < 15).mean() < 0.2
    assert (color.min(axis=-1) > 250).mean() < 0.2


def test_outside_there_is_nothing(room):
    camera = RgbdCamera(32, 24)
    image = camera.render(room, look_at((0.0, 0.0, 50.0), (0.0, 100.0, 60.0)))
    assert (image.label == 255).all()
    assert not image.depth.any()


@pytest.mark.parametrize("seed", range(3))
def test_the_drive_stays_in_free_space(seed):
    room = home(seed)
    poses = trajectory(room, seconds=60.0, rate=5.0)
    around = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    ring = np.stack([np.cos(around), np.sin(around), np.zeros(24)], axis=1)
    for height in (0.1, 0.45, 0.75, 1.0):
        places = poses[:, :3, 3] + (0.0, 0.0, height)
        hits = room.cast(np.repeat(places, 24, axis=0), np.tile(ring, (len(places), 1)))
        assert hits.distance.min() > 0.2


@pytest.mark.parametrize("seed", range(3))
def test_the_drive_is_smooth_and_goes_somewhere(seed):
    poses = trajectory(home(seed), seconds=60.0, rate=10.0)
    steps = np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1)
    assert steps.max() <= 0.5 / 10 + 1e-9
    assert steps.sum() > 5.0
    assert not poses[:, 2, 3].any()
    turn = np.einsum("nij,nij->n", poses[1:, :3, :3], poses[:-1, :3, :3])
    assert np.arccos(np.clip((turn - 1) / 2, -1, 1)).max() < 0.1
    assert np.allclose(poses[:, :3, :3] @ poses[:, :3, :3].transpose(0, 2, 1), np.eye(3))


def test_the_camera_looks_ahead_and_slightly_down(drive):
    pose = camera_pose(np.eye(4))
    assert np.isclose(np.linalg.det(pose[:3, :3]), 1.0)
    assert pose[2, 3] == 1.0
    forward, down = pose[:3, 2], pose[:3, 1]
    assert forward[0] > 0.9
    assert -0.5 < forward[2] < -0.1
    assert down[2] < -0.9


def test_wrong_arguments_are_named(room):
    with pytest.raises(ValueError, match=r"0 x 480.*pixel"):
        RgbdCamera(width=0)
    with pytest.raises(ValueError, match=r"horizontal_fov is 4\.0.*radians"):
        RgbdCamera(horizontal_fov=4.0)
    with pytest.raises(ValueError, match=r"pose has shape \(3, 4\).*\(4, 4\)"):
        RgbdCamera(8, 8).render(room, np.eye(4)[:3])
    with pytest.raises(ValueError, match="rate is 0"):
        next(robot_drive(room, 0.0))
    with pytest.raises(ValueError, match="gives no pose"):
        trajectory(room, 0.0, 10.0)


def test_a_one_pixel_camera_looks_straight_ahead(room):
    pose = look_at((0.0, 0.0, 1.9), (1e-6, 0.0, room.plan.height))
    image = RgbdCamera(1, 1, noise=True).render(room, pose)
    assert image.color.shape == (1, 1, 3)
    assert image.depth.shape == image.label.shape == (1, 1)


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        (lambda f: box((1.0, 2.0, 0.5), (0, 0, 0), f, "table"), (1.0, 2.0, 0.5)),
        (lambda f: cushion((1.0, 2.0, 0.5), (0, 0, 0), f, "sofa"), (1.0, 2.0, 0.5)),
        (lambda f: blob((1.0, 2.0, 0.5), (0, 0, 0), f, "sofa"), (1.0, 2.0, 0.5)),
        (lambda f: rod((-1, 0, 0), (1, 0, 0), 0.1, f, "table", 8), (2.0, 0.2, 0.2)),
        (
            lambda f: lathe([(0, 0), (0.5, 0), (0.5, 1), (0, 1)], (0, 0, 0), f, "table", 16),
            (1,) * 3,
        ),
    ],
)
def test_shapes_have_their_size_and_face_outwards(shape, size):
    mesh = shape(Finish((0.5, 0.5, 0.5)))
    low, high = mesh.bounds()
    assert np.allclose(high - low, size, atol=0.01)
    middle = mesh.corners.mean(axis=1) - (low + high) / 2
    outward = np.einsum("ij,ij->i", middle, mesh.normals.mean(axis=1))
    assert (outward > -1e-4).all()
    assert np.allclose(np.linalg.norm(mesh.normals, axis=-1), 1.0, atol=1e-3)
    turned = mesh.placed(3.0, -1.0, 0.5, math.pi / 2)
    assert np.allclose(turned.bounds()[0][2], low[2] + 0.5, atol=1e-6)
    assert np.allclose(turned.bounds()[1][0] - turned.bounds()[0][0], size[1], atol=0.01)


def test_textures_keep_the_mean_brightness_and_repeat_without_a_seam():
    bank = tiles()
    assert bank.shape[0] == len(TEXTURES)
    assert (np.abs(bank.mean(axis=(1, 2)) / NEUTRAL - 1) < 0.2).all()
    plain = bank[TEXTURES.index("plain")].astype(int)
    inside = np.abs(np.diff(plain, axis=0)).mean()
    assert np.abs(plain[0] - plain[-1]).mean() < 2 * inside + 1


@pytest.mark.parametrize("kind", KINDS)
def test_other_kinds_of_rooms_are_closed_and_finite(kind):
    room = Room(5, kind)
    assert np.isfinite(room.mesh.corners).all()
    assert {CLASSES.index(c) for c in ("floor", "wall", "ceiling")} <= set(room.mesh.label)
    image = RgbdCamera(80, 60, noise=False).render(room, look_at((0, 0, 1.6), (1, 0, 0.5)))
    assert (image.depth > 0).mean() > 0.9


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="kind is 'castle', expected home or one of office"):
        Room(0, "castle")

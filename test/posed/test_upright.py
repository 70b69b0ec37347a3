# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What points up is told by how cameras were held, and by the surfaces before them."""

from __future__ import annotations

import numpy as np
import pytest

from concerto_ros.posed.upright import held_up, snapped, turn_to_z, up_of_surfaces
from concerto_ros.sim.rgbd_camera import look_at


def turned(seed):
    """A rotation (3, 3) of the world."""
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return rotation * np.linalg.det(rotation)


def cameras(yaws, pitch, rotation):
    """Poses of cameras that look so many degrees down, in a turned world."""
    down = np.radians(pitch)
    poses = []
    for yaw in np.radians(yaws):
        ahead = np.array([np.cos(yaw) * np.cos(down), np.sin(yaw) * np.cos(down), -np.sin(down)])
        pose = look_at((0, 0, 1.5), np.array([0, 0, 1.5]) + ahead)
        moved = np.eye(4)
        moved[:3, :3] = rotation @ pose[:3, :3]
        poses.append(moved)
    return np.array(poses)


@pytest.mark.parametrize("pitch", [-20, 0, 45])
def test_cameras_that_look_around_tell_up_however_far_they_look_down(pitch):
    rotation = turned(pitch + 100)
    held = held_up(cameras([0, 40, 90, 200], pitch, rotation))
    assert held.back is None
    np.testing.assert_allclose(held.up, rotation[:, 2], atol=1e-6)


@pytest.mark.parametrize("pitch", [-20, 0, 30, 55])
def test_of_cameras_that_look_one_way_floors_and_tables_tell_how_far_they_look_down(pitch):
    rotation = turned(pitch + 200)
    held = held_up(cameras([10, 12, 14], pitch, rotation))
    assert held.back is not None
    rng = np.random.default_rng(0)
    wall, sideboard = np.array([-1.0, 0, 0]), np.array([0.0, 1, 0])
    normals = np.concatenate(
        [
            np.tile([0.0, 0, 1], (300, 1)),
            np.tile(wall, (500, 1)),
            np.tile(sideboard, (300, 1)),
            np.zeros((200, 3)),
        ]
    )
    noisy = normals + (normals != 0).any(axis=1, keepdims=True) * rng.normal(0, 0.02, (1300, 3))
    length = np.linalg.norm(noisy, axis=1, keepdims=True)
    noisy = np.divide(noisy, length, out=noisy, where=length > 0) @ rotation.T
    up = up_of_surfaces(held, noisy)
    assert up @ rotation[:, 2] > np.cos(np.radians(0.5))
    few = up_of_surfaces(held, noisy[300:800])  # a wall alone
    np.testing.assert_allclose(few, held.up)
    np.testing.assert_allclose(up_of_surfaces(held, np.zeros((9, 3))), held.up)


def test_an_axis_that_is_nearly_up_is_up():
    tilt = np.radians(4)
    np.testing.assert_array_equal(snapped(np.array([0, -np.cos(tilt), np.sin(tilt)])), [0, -1, 0])
    leaning = np.array([0, -np.cos(2 * tilt), np.sin(2 * tilt)])
    np.testing.assert_array_equal(snapped(leaning), leaning)


@pytest.mark.parametrize("up", [(0, 0, 1), (0, 0, -1), (0, -1, 0), (0.6, 0, 0.8), (1, 0, 0)])
def test_the_turn_to_z_is_a_rotation_that_does_it(up):
    rotation = turn_to_z(np.array(up, float))
    np.testing.assert_allclose(rotation @ up, [0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) > 0

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What each sort of simulated scan promises."""

from __future__ import annotations

import numpy as np
import pytest

from concerto_ros.labels.label_set import UNLABELLED
from concerto_ros.learning.demo_model.sensing import lidars, meshes
from concerto_ros.learning.demo_model.sensing.cameras import camera_scan
from concerto_ros.learning.demo_model.sensing.viewpoints import (
    above_a_top,
    low_robot,
    near_furniture,
)
from concerto_ros.sim import CLASSES, Room

FLOOR, CEILING = CLASSES.index("floor"), CLASSES.index("ceiling")


@pytest.fixture(scope="module")
def room():
    return Room(3, "office")


def same(one, other):
    return np.array_equal(one.points, other.points) and np.array_equal(one.labels, other.labels)


def test_low_robots_are_low_and_close_views_close(room):
    for seed in range(20):
        eye, _ = low_robot(room, np.random.default_rng(seed))
        assert 0.2 <= eye[2] <= 0.6
    distances = [
        np.linalg.norm(np.subtract(*near_furniture(room, np.random.default_rng(seed))))
        for seed in range(20)
    ]
    assert np.median(distances) < 1.6


def test_views_onto_table_tops_mostly_show_no_floor(room):
    heights, floors = [], []
    for seed in range(8):
        eye, target = above_a_top(room, np.random.default_rng(seed))
        heights.append(eye[2] - target[2])
        scan = camera_scan("top", room, np.random.default_rng(seed), viewpoint=above_a_top)
        floors.append(np.mean(scan.labels == FLOOR))
    assert np.median(heights) > 0.3
    assert np.median(floors) < 0.1


def test_hand_held_meshes_have_no_ceiling_and_those_of_tripods_have_one(room, monkeypatch):
    for share, has_ceiling in ((1.0, False), (0.0, True)):
        monkeypatch.setattr(meshes, "HAND_HELD_SHARE", share)
        scan = meshes.mesh_scan("mesh", room, np.random.default_rng(1))
        assert same(scan, meshes.mesh_scan("mesh", room, np.random.default_rng(1)))
        assert (np.mean(scan.labels == CEILING) > 0.05) == has_ceiling
        assert (scan.labels != UNLABELLED).all() and scan.colors is not None
        # Smooth normals of the surface, facing the room: up on the floor.
        up = scan.normals[scan.labels == FLOOR, 2]
        assert np.median(up) > 0.99 and np.mean(up > 0.9) > 0.9


def test_a_mesh_has_rounded_edges(room, monkeypatch):
    monkeypatch.setattr(meshes, "HAND_HELD_SHARE", 0.0)
    scan = meshes.mesh_scan("mesh", room, np.random.default_rng(1))
    # Where floor and wall meet, normals lie between the two.
    slanted = (np.abs(scan.normals[:, 2]) > 0.3) & (np.abs(scan.normals[:, 2]) < 0.9)
    low = scan.points[:, 2] < 0.1
    wall = scan.labels == CLASSES.index("wall")
    assert np.mean(slanted[low & wall]) > 0.1 > np.mean(slanted[wall & ~low])


def test_some_sweeps_have_strays_below_the_floor_and_the_robots_body(room):
    below, bodies, unlabelled = 0, 0, []
    for seed in range(14):
        scan = lidars.lidar_scan("lidar", room, np.random.default_rng(seed))
        unknown = scan.labels == UNLABELLED
        unlabelled.append(unknown.mean())
        low = scan.points[:, 2] < -0.6
        below += low.any()
        assert unknown[low].mean() > 0.99 if low.any() else True
        assert scan.colors is None
    # The body is within reach of the sensor, and without a label.
    for seed in range(14):
        device = lidars._Device(np.random.default_rng(seed))
        if device.body is None:
            continue
        bodies += 1
        turn = np.linspace(-np.pi, np.pi, 2000)
        rays = np.stack([np.cos(turn), np.sin(turn), np.tile([-1.0, -0.4], 1000)], 1)
        rays /= np.linalg.norm(rays, axis=1, keepdims=True)
        reached = device.body.distance(rays)
        assert np.isfinite(reached).any() and reached[np.isfinite(reached)].max() < 1.6
        capture = device.sweep(
            room, np.array([0.0, 0.0, 1.2]), np.float32(rays), 0, np.random.default_rng(1)
        )
        near = np.linalg.norm(capture.frame.points - capture.frame.origin, axis=1) < 0.3
        assert (capture.triangles[near] == -1).all()
    assert 2 <= below <= 12 and 2 <= bodies <= 10
    assert min(unlabelled) < 0.01 and max(unlabelled) < 0.35

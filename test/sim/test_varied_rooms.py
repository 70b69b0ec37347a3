# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Rooms of all kinds: walls at any angle, sloped ceilings, closets in walls, doors of any sort."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from concerto_ros.sim import CLASSES, Room
from concerto_ros.sim.mesh import Finish, Mesh
from concerto_ros.sim.pieces.building import stairs
from concerto_ros.sim.rooms.ceilings import flat_surface
from concerto_ros.sim.rooms.floor_plan import FloorPlan
from concerto_ros.sim.rooms.openings import Opening
from concerto_ros.sim.rooms.polygon_plan import PolygonPlan, Slope, polygon_plan
from concerto_ros.sim.rooms.room_shells import build_varied_shell, draw_varied_plan
from concerto_ros.sim.rooms.room_types import KINDS, furnish_kind
from concerto_ros.sim.rooms.varied_doors import closet_opening, varied_door
from concerto_ros.sim.rooms.varied_windows import glass_wall, varied_window

PAINT = Finish((0.9, 0.88, 0.85))
HOLE = Opening(0, 1.5, 2.4, 0.0, 2.05, "door")
#: A corridor behind a door ends at most this far beyond the room, metres.
BEYOND = 3.6


def classes_of(mesh: Mesh) -> set[str]:
    """Names of the classes of a mesh."""
    return {CLASSES[label] for label in np.unique(mesh.label)}


def plans(kind: str, count: int) -> list[PolygonPlan]:
    """Plans of a kind of room."""
    return [draw_varied_plan(np.random.default_rng(seed), kind) for seed in range(count)]


@cache
def furniture(kind: str, seed: int) -> Mesh:
    """What stands in the room of ``plans(kind, seed + 1)[seed]``."""
    return furnish_kind(plans(kind, seed + 1)[seed], np.random.default_rng(seed), kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_of_room_is_the_same_again_by_seed(kind):
    (plan,) = plans(kind, 1)
    pairs = (
        [build_varied_shell(plan, np.random.default_rng(0)) for _ in range(2)],
        [furniture(kind, 0), furnish_kind(plan, np.random.default_rng(0), kind)],
    )
    for one, again in pairs:
        assert np.array_equal(one.corners, again.corners)
        assert np.array_equal(one.label, again.label) and np.array_equal(one.color, again.color)


@pytest.mark.parametrize("kind", KINDS)
def test_rooms_of_a_kind_stay_inside_their_plan_with_the_floor_at_zero(kind):
    for seed, plan in enumerate(plans(kind, 3)):
        shell = build_varied_shell(plan, np.random.default_rng(seed))
        inside = furniture(kind, seed)
        for mesh, margin in ((shell, BEYOND), (inside, 0.15)):
            low, high = mesh.bounds()
            half = np.array([plan.width, plan.depth]) / 2 + margin
            assert (low[:2] > -half).all() and (high[:2] < half).all()
            assert low[2] > -0.03 and np.isfinite(mesh.corners).all()
            assert mesh.label.max() < len(CLASSES)
        floor = shell.corners[shell.label == CLASSES.index("floor")]
        assert not floor[..., 2].any()
        assert {"floor", "wall"} <= classes_of(shell)
        assert ("ceiling" in classes_of(shell)) or plan.open_above


@pytest.mark.parametrize("kind", ["bedroom", "lounge", "hall"])
def test_furniture_stands_within_the_outline_and_below_the_slopes(kind):
    names = ("table", "chair", "sofa", "bed", "cabinet")
    for seed, plan in enumerate(plans(kind, 8)):
        mesh = furniture(kind, seed)
        points = mesh.corners[np.isin(mesh.label, [CLASSES.index(n) for n in names])]
        points = points.reshape(-1, 3).astype(np.float64)
        middle = np.array(plan.middle)
        # Knobs and the like may reach into an oblique wall by the width of a cell.
        assert plan.inside(middle + 0.98 * (points[:, :2] - middle)).mean() > 0.998
        assert (points[:, 2] < plan.headroom(points[:, :2]) + 0.02).all()


def test_outlines_have_oblique_walls_bays_and_cut_corners():
    shapes = plans("lounge", 60)
    corners = np.array([len(plan.outline) for plan in shapes])
    assert (corners > 6).sum() > 10 and (corners == 4).sum() > 8
    oblique = [any(abs(np.sin(2 * wall.yaw)) > 0.05 for wall in plan.walls) for plan in shapes]
    assert 0.25 < np.mean(oblique) < 0.8
    for plan in shapes:
        low, high = plan.corners.min(axis=0), plan.corners.max(axis=0)
        assert np.allclose(low, -high)
        assert np.allclose(high * 2, (plan.width, plan.depth))
        assert plan.contains(*plan.middle, *plan.middle)


def test_a_plan_contains_what_lies_inside_its_outline():
    rng = np.random.default_rng(4)
    plan = polygon_plan(FloorPlan(6.0, 5.0, 2.6, (2.0, 1.5)), rng, 3)
    assert not plan.contains(-9.0, -9.0, 9.0, 9.0)
    for _ in range(300):
        x, y = rng.uniform(-0.6, 0.6, 2) * (plan.width, plan.depth)
        size = rng.uniform(0.0, 1.0)
        grid = np.stack(np.meshgrid(*np.linspace((x, y), (x + size, y + size), 9).T), axis=-1)
        within = plan.inside(grid.reshape(-1, 2))
        if plan.contains(x, y, x + size, y + size):
            assert within.all()
        elif not within.any():
            continue
        else:
            assert not within.all() or np.abs(grid).max() > 0.4 * min(plan.width, plan.depth)


def test_the_floor_covers_the_outline_once_and_a_sloped_ceiling_meets_its_wall():
    plan = polygon_plan(FloorPlan(6.0, 4.0, 2.8), np.random.default_rng(1), 3)
    x, y = plan.corners.T
    area = abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2
    mesh = flat_surface(plan.corners, 0.0, PAINT, "floor")
    edge = mesh.corners[:, 1:] - mesh.corners[:, :1]
    normal = np.cross(edge[:, 0].astype(np.float64), edge[:, 1].astype(np.float64))
    assert np.abs(normal[:, 2]).sum() / 2 == pytest.approx(area, rel=1e-3)
    assert (mesh.normals[..., 2] > 0.99).all()

    square = PolygonPlan(
        4.0, 4.0, 3.0, outline=((-2, -2), (2, -2), (2, 2), (-2, 2)), slopes=(Slope(0, 1.0, 1.0),)
    )
    ceiling = flat_surface(square.corners, square.headroom, PAINT, "ceiling")
    points = ceiling.corners.reshape(-1, 3)
    assert np.allclose(points[points[:, 1] < -1.99, 2], 1.0)
    assert np.allclose(points[points[:, 1] > 0.1, 2], 3.0)
    assert (ceiling.normals[..., 2] < 0).all()


def test_doors_of_all_kinds_are_doors_and_open_ones_show_what_is_behind():
    behind = 0
    for seed in range(120):
        mesh = varied_door(HOLE, np.random.default_rng(seed), PAINT, 4.0, (1.0, 1.0, 2.5))
        names = classes_of(mesh)
        assert names <= {"door", "floor", "wall", "ceiling"} and "floor" in names
        assert not mesh.corners[mesh.label == CLASSES.index("floor")][..., 2].any()
        deep = -float(mesh.corners[..., 1].min())
        seen = "ceiling" in names  # only a corridor has one
        behind += seen
        assert (deep > 1.0) if seen else ("door" in names and deep < 0.6)
        low, high = mesh.bounds()
        assert low[0] > HOLE.start - 1.1 and high[0] < HOLE.end + 1.1
    assert 30 < behind < 90


def test_a_garage_door_is_a_shut_door_of_sections():
    hole = Opening(0, 0.5, 3.1, 0.0, 2.1, "door")
    mesh = varied_door(hole, np.random.default_rng(0), PAINT, 4.0, (1.0, 1.0, 2.5))
    assert classes_of(mesh) == {"door", "floor"}
    low, high = mesh.bounds()
    assert np.allclose(low, (0.5, low[1], 0.0), atol=0.01) and low[1] > -0.3
    assert high[0] == pytest.approx(3.1, abs=0.01) and high[1] < 0.05


def test_one_walks_up_stairs_on_floor():
    for seed in range(20):
        mesh = stairs(np.random.default_rng(seed), 2.6)
        assert classes_of(mesh) <= {"floor", "other"}
        low, high = mesh.bounds()
        assert low[2] > -0.06 and high[2] <= 2.6
        steps = np.unique(mesh.corners[mesh.label == CLASSES.index("floor")][..., 2].max(axis=1))
        assert len(steps) > 1


def test_some_doors_have_the_color_of_the_wall_and_no_frame():
    alike = 0
    for seed in range(120):
        mesh = varied_door(HOLE, np.random.default_rng(seed), PAINT, 4.0, (1.0, 1.0, 2.5))
        of_door = mesh.color[mesh.label == CLASSES.index("door")]
        if len(of_door):
            alike += bool(np.isclose(of_door, PAINT.color).all(axis=1).mean() > 0.3)
    assert alike > 8


def test_a_closet_in_a_wall_is_cabinet_and_an_open_one_shows_clothes():
    hole = Opening(0, 1.0, 3.0, 0.0, 2.5, "closet")
    opened = 0
    for seed in range(40):
        mesh = closet_opening(hole, np.random.default_rng(seed), PAINT)
        assert classes_of(mesh) <= {"cabinet", "other"}
        low, high = mesh.bounds()
        assert low[0] > 0.85 and high[0] < 3.15 and high[2] < 2.6
        if "other" in classes_of(mesh):
            opened += 1
        else:
            assert low[1] > -0.1 and high[1] < 0.1  # flush with the wall
    assert 2 < opened < 20


def test_windows_blinds_curtains_and_glass_walls_are_wall():
    hole = Opening(0, 1.0, 2.6, 0.9, 2.2, "window")
    for seed in range(40):
        rng = np.random.default_rng(seed)
        mesh = varied_window(hole, rng)
        assert classes_of(mesh) == {"wall"}
        assert mesh.corners[..., 1].max() < 0.25 and mesh.corners[..., 2].min() > 0.0
        glass = glass_wall(4.0, 2.6, [HOLE], rng)
        assert classes_of(glass) == {"wall"}
        middle = glass.corners.mean(axis=1)
        in_hole = (np.abs(middle[:, 0] - 1.95) < 0.4) & (middle[:, 2] < HOLE.high - 0.01)
        assert not in_hole.any()


@pytest.mark.parametrize(("seed", "kind"), [(0, "bedroom"), (1, "kitchen"), (2, "hotel")])
def test_no_two_classes_share_a_plane(seed, kind):
    """Rays a tenth of a millimetre apart see the same class, but for a few at edges."""
    room = Room(seed, kind)
    rng = np.random.default_rng(seed)
    rays = rng.normal(size=(20000, 3)).astype(np.float32)
    eye = np.array([*room.plan.middle, 1.4], np.float32)
    first = room.labels(room.cast(eye, rays))
    second = room.labels(room.cast(eye + np.float32(1e-4), rays))
    assert (first != second).mean() < 0.004

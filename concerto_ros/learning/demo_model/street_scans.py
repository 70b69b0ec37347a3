# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Labelled scans of simulated streets: sweeps, accumulated sweeps, surveys and views ahead.

There are five scans of each street. They are in the frame of the sensor (of a survey: of the
ground's lowest corner), z up as far as the sensor is level, and get the same normals as on the
robot.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from concerto_ros.labels.label_set import UNLABELLED
from concerto_ros.learning.data.batch import majority
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.learning.demo_model.sensing.capture import fitted_normals
from concerto_ros.mapping.voxel_grid import grid_sample
from concerto_ros.sensors.normals import unit_vectors
from concerto_ros.sim.library import FurnitureLibrary
from concerto_ros.sim.mesh import rotation_about
from concerto_ros.sim.streets import KINDS, Street
from concerto_ros.sim.streets.lidar import (
    SPINNING,
    Lidar,
    Returns,
    draw_forward,
    draw_spinning,
    draw_tripod,
    follow,
    sweep,
)

#: Voxel size of the scans, metres: finer than the model's grid, so that a rotated or translated
#: scan occupies other voxels.
SPACING = 0.06
#: Voxel size for fitted normals, metres: the model's.
FIT_SPACING = 0.16
#: Number of scans of each street.
SCANS = 5
#: Points farther away than this on any axis are left out, metres.
FARTHEST = 120.0
#: A scan has at most so many voxels of ``SPACING``.
MOST = 90_000
#: Relative frequency of the kinds of streets.
_FREQUENCY = {
    "residential": 3,
    "city": 2.5,
    "rural": 2,
    "motorway": 1.5,
    "campus": 1.5,
    "park": 1.5,
    "hall": 1.5,
}


def street_of(seed: int, furniture: FurnitureLibrary | None = None) -> Street:
    """The street of a seed, of a random kind."""
    rng = np.random.default_rng((seed, 1))
    weights = np.array([_FREQUENCY.get(kind, 1.0) for kind in KINDS])
    kind = str(rng.choice(list(KINDS), p=weights / weights.sum()))
    return Street(seed, kind, furniture)


def street_scans_of(seed: int, furniture: FurnitureLibrary | None = None) -> list[Scan]:
    """The scans of the street of ``seed``; equal seeds give equal scans, bit for bit."""
    street, rng = street_of(seed, furniture), np.random.default_rng((seed, 2))
    above = rng.choice(np.array([_aerial, _survey, _sweep_of_vehicle]), p=[0.6, 0.2, 0.2])
    makers: list[Callable[[Street, np.random.Generator], tuple[str, _Cloud]]] = [
        _sweep_of_vehicle,
        _sweep_of_robot,
        _accumulated,
        _sweep_of_robot if rng.random() < 0.4 else _ahead,
        _survey if street.kind == "hall" and above is _aerial else above,
    ]
    scans = []
    for number, make in enumerate(makers):
        name, cloud = make(street, rng)
        scans.append(_fused(f"street{seed}-{street.kind}-{number}-{name}", cloud, rng))
    return scans


@dataclass(frozen=True, eq=False)
class _Cloud:
    """Points in the frame of the scan, with where they were seen from.

    Attributes:
        points: (N, 3) metres.
        labels: (N,) uint8.
        colors: (N, 3) uint8.
        sensor: (N, 3) or (3,) position of the sensor, metres.
        colored: whether the colours are kept.
    """

    points: np.ndarray
    labels: np.ndarray
    colors: np.ndarray
    sensor: np.ndarray
    colored: bool = False


def _joined(clouds: list[_Cloud], colored: bool = False) -> _Cloud:
    names = ("points", "labels", "colors", "sensor")
    parts = (np.concatenate([getattr(cloud, name) for cloud in clouds]) for name in names)
    points, labels, colors, sensor = parts
    return _Cloud(points, labels, colors, sensor, colored)


def _sweep_of_vehicle(street: Street, rng: np.random.Generator) -> tuple[str, _Cloud]:
    """One sweep from the roof of a vehicle on the road."""
    sensor = draw_spinning(rng, str(rng.choice(list(SPINNING), p=_VEHICLE_SENSORS)))
    pose = _on_road(street, rng, rng.uniform(1.6, 2.2), tilt=np.radians(1.0))
    return sensor.name, _single(street, sensor, pose, rng, _BODIES["vehicle"])


def _sweep_of_robot(street: Street, rng: np.random.Generator) -> tuple[str, _Cloud]:
    """One sweep from a robot or a person anywhere on the ground."""
    sensor = draw_spinning(rng, str(rng.choice(list(SPINNING), p=_ROBOT_SENSORS)))
    tilt = np.radians(rng.choice([1.0, 3.0, 7.0], p=[0.6, 0.25, 0.15]))
    pose = _standpoint(
        street, rng, rng.choice([rng.uniform(0.3, 0.7), rng.uniform(0.7, 1.3)]), tilt
    )
    return sensor.name, _single(street, sensor, pose, rng, _BODIES["robot"])


def _ahead(street: Street, rng: np.random.Generator) -> tuple[str, _Cloud]:
    """One view of a sensor that looks ahead, mostly a little down."""
    sensor = draw_forward(rng, str(rng.choice(["solid", "rosette", "camera", "camera"])))
    if rng.random() < 0.5:
        pose = _on_road(street, rng, rng.uniform(0.8, 2.0), tilt=np.radians(1.0))
    else:
        pose = _standpoint(street, rng, rng.uniform(0.4, 1.7), np.radians(1.0))
    down = rotation_about("y", rng.uniform(-0.05, 0.3) if sensor.name == "camera" else 0.02)
    returns = sweep(street, sensor, _turned(pose, down), 0.0, rng)
    # Level again: the node gets the clouds of a camera in the frame of the robot or the map.
    level = (returns.points @ down.T).astype(np.float32)
    cloud = _Cloud(level, returns.labels, returns.colors, np.zeros(3), sensor.name == "camera")
    return sensor.name, cloud


def _accumulated(street: Street, rng: np.random.Generator) -> tuple[str, _Cloud]:
    """Two to twenty sweeps of a vehicle or robot that drives, in the frame of the last one."""
    count = int(rng.choice([2, 3, 5, 8, 12, 20]))
    vehicle = rng.random() < 0.7
    names, weights = list(SPINNING), _VEHICLE_SENSORS if vehicle else _ROBOT_SENSORS
    sensor = draw_spinning(rng, str(rng.choice(names, p=weights)), 1024 if count < 5 else 512)
    height = rng.uniform(1.5, 2.2) if vehicle else rng.uniform(0.35, 1.2)
    speed = rng.uniform(0, 14) if vehicle else rng.uniform(0, 1.6)
    period = min(rng.choice([0.1, 0.2, 0.5]), 60 / (count * max(speed, 1.0)))
    seconds = np.arange(count) * period
    poses = _drive(street, rng, speed * seconds, height)
    street = street.clear_of(poses[:, :3, 3], seconds)
    lean = _small_turn(rng, np.radians(1.0))
    parts = []
    for pose, at in zip(poses, seconds, strict=True):
        leaning = _turned(pose, lean @ _small_turn(rng, np.radians(0.15)))
        returns = sweep(street, sensor, leaning, float(at), rng)
        parts.append((leaning, _with_strays(returns, rng)))
    to_last = np.linalg.inv(parts[-1][0])
    drift = rng.choice([0.0, 0.01, 0.03])
    clouds = []
    for pose, returns in parts:
        motion = to_last @ pose
        motion[:3, 3] += rng.normal(0, drift, 3)
        points = returns.points @ motion[:3, :3].T + motion[:3, 3]
        seen_from = np.broadcast_to(motion[:3, 3], points.shape)
        clouds.append(_Cloud(points, returns.labels, returns.colors, seen_from))
    return f"{sensor.name}x{count}", _joined(clouds)


def _aerial(street: Street, rng: np.random.Generator) -> tuple[str, _Cloud]:
    """An airborne survey, 0.2 to 12 points to the square metre, from two strips."""
    half, density = rng.uniform(30, 75), np.exp(rng.uniform(np.log(0.2), np.log(12)))
    count = int(min(4 * half**2 * density, 150_000))
    sensor = Lidar(
        "air", np.zeros((1, 1, 3), np.float32), 9e3, 2e3, 0.0, rng.uniform(0.01, 0.05), echoes=True
    )
    ground = np.column_stack([rng.uniform(-half, half, (count, 2)), np.zeros(count)])
    flight = np.array([rng.uniform(-150, 150), rng.uniform(-150, 150), rng.uniform(250, 900)])
    strip = rng.integers(0, 2, count)[:, None]
    origin = np.column_stack([ground[:, 0], np.zeros(count), np.full(count, flight[2])])
    origin = origin + [1, 0, 0] * flight + np.where(strip, [0, 1, 0], [0, -0.6, 0]) * flight
    ray = ground - origin
    ray /= np.linalg.norm(ray, axis=1, keepdims=True)
    row, distance, label, color = follow(street, sensor, origin, ray.astype(np.float32), 0.0, rng)
    points = origin[row] + ray[row] * distance[:, None]
    # Heights count from the sea.
    zero = np.array([0.0, 0.0, rng.choice([0.0, rng.uniform(-5, 60)])])
    colored = rng.random() < 0.4
    return "aerial", _Cloud(
        points + zero, label, color, np.array([0.0, 0.0, flight[2]]) + zero, colored
    )


def _survey(street: Street, rng: np.random.Generator) -> tuple[str, _Cloud]:
    """A terrestrial scanner on a tripod, from one or two stations."""
    sensor = draw_tripod(rng)
    clouds = []
    for _ in range(int(rng.integers(1, 3))):
        pose = _standpoint(street, rng, rng.uniform(1.4, 1.9), 0.0)
        returns = sweep(street, sensor, pose, 0.0, rng)
        points = returns.points @ pose[:3, :3].T + pose[:3, 3]
        seen_from = np.broadcast_to(pose[:3, 3], points.shape)
        clouds.append(_Cloud(points, returns.labels, returns.colors, seen_from))
    cloud = _joined(clouds, colored=rng.random() < 0.5)
    return "tripod", cloud


#: Relative frequency of the sensors in the order of ``SPINNING``.
_VEHICLE_SENSORS = np.array([0.12, 0.12, 0.12, 0.28, 0.04, 0.14, 0.08, 0.1])
_ROBOT_SENSORS = np.array([0.34, 0.1, 0.06, 0.02, 0.18, 0.22, 0.03, 0.05])

#: Boxes of what carries the sensor: (centre, edge lengths) below a sensor at the origin.
_BODIES = {
    "vehicle": (((-0.6, 0, -0.75), (4.4, 1.8, 1.1)), ((0.9, 0.0, -0.25), (0.1, 1.2, 0.1))),
    "robot": (((-0.1, 0, -0.4), (0.7, 0.5, 0.4)), ((-0.25, 0.15, 0.2), (0.04, 0.04, 0.9))),
}


def _single(street, sensor: Lidar, pose, rng: np.random.Generator, bodies) -> _Cloud:
    returns = sweep(street, sensor, pose, 0.0, rng)
    if rng.random() < 0.35:
        returns = _with_body(sensor, returns, bodies, rng)
    if rng.random() < 0.25:
        returns = _with_edges(returns, rng)
    returns = _with_strays(returns, rng)
    return _Cloud(returns.points, returns.labels, returns.colors, np.zeros(3))


def _with_body(sensor: Lidar, returns: Returns, bodies, rng: np.random.Generator) -> Returns:
    """With returns of what carries the sensor, unlabelled, instead of what they hide."""
    points = returns.points
    keep, extra = np.ones(len(points), bool), []
    scale = rng.uniform(0.7, 1.2, 3)
    for center, size in bodies:
        middle, half = np.array(center) * scale, np.array(size) * scale / 2
        keep &= ~np.isfinite(_into_box(points, middle, half))
        rays = sensor.directions.reshape(-1, 3)
        distance = _into_box(rays * np.float32(100), middle, half) * 100
        hit = np.isfinite(distance) & (distance > 0.1)
        extra.append(rays[hit] * distance[hit, None])
    body = np.concatenate(extra)
    body = body[rng.random(len(body)) < 0.8] + rng.normal(0, 0.01)
    return Returns(
        np.concatenate([points[keep], body]).astype(np.float32),
        np.concatenate([returns.labels[keep], np.full(len(body), UNLABELLED, np.uint8)]),
        np.concatenate([returns.colors[keep], np.full((len(body), 3), 90, np.uint8)]),
    )


def _into_box(ends: np.ndarray, middle: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Share of the way from the origin to each end where it enters a box, infinite if never."""
    with np.errstate(divide="ignore", invalid="ignore"):
        first, second = (middle - half) / ends, (middle + half) / ends
    enter = np.minimum(first, second).max(1)
    leave = np.maximum(first, second).min(1)
    return np.where((enter < leave) & (enter > 0) & (enter < 1), enter, np.inf)


def _with_edges(returns: Returns, rng: np.random.Generator) -> Returns:
    """Some points moved away from the sensor, as where a beam meets an edge and what is behind."""
    share = rng.uniform(0.002, 0.012)
    moved = rng.random(len(returns.points)) < share
    far = 1 + rng.uniform(0.02, 0.3, (int(moved.sum()), 1))
    points, labels = returns.points.copy(), returns.labels.copy()
    points[moved] *= far.astype(np.float32)
    labels[moved] = UNLABELLED
    return Returns(points, labels, returns.colors)


def _with_strays(returns: Returns, rng: np.random.Generator) -> Returns:
    """With reflections below the ground, and rain or dust in the air, in some sweeps."""
    points = returns.points
    if not len(points):
        return returns
    extra = []
    distance = np.linalg.norm(points, axis=1)
    if rng.random() < 0.4:
        down = np.flatnonzero(points[:, 2] < -0.04 * distance)
        count = int(len(points) * rng.uniform(0.002, 0.026))
        if len(down):
            chosen = points[rng.choice(down, count)]
            deep = np.exp(rng.uniform(np.log(1), np.log(10), (count, 1)))
            extra.append(chosen * (1 + deep / np.abs(chosen[:, 2:])))
    if rng.random() < 0.25:
        count = int(len(points) * rng.uniform(0.001, 0.02))
        chosen = rng.integers(0, len(points), count)
        near = np.minimum(rng.exponential(4.0, count) + 0.5, 0.9 * distance[chosen])
        extra.append(points[chosen] * (near / distance[chosen])[:, None])
    if not extra:
        return returns
    strays = np.concatenate(extra)
    strays = strays[np.linalg.norm(strays, axis=1) < 110]
    return Returns(
        np.concatenate([points, strays]).astype(np.float32),
        np.concatenate([returns.labels, np.full(len(strays), UNLABELLED, np.uint8)]),
        np.concatenate([returns.colors, np.zeros((len(strays), 3), np.uint8)]),
    )


def _fused(name: str, cloud: _Cloud, rng: np.random.Generator) -> Scan:
    """One point for each voxel, with majority label and fitted normal."""
    near = (np.abs(cloud.points) < FARTHEST).all(1)
    points = cloud.points[near].astype(np.float32)
    sensor = np.broadcast_to(cloud.sensor, cloud.points.shape)[near]
    toward = unit_vectors((sensor - points).astype(np.float32))
    voxels = grid_sample(points, SPACING, colors=cloud.colors[near], normals=toward, inverse=True)
    assert voxels.inverse is not None and voxels.normal is not None  # both were asked for
    assert voxels.color is not None
    labels = majority(voxels.inverse, cloud.labels[near], len(voxels)).astype(np.uint8)
    means = voxels.means(SPACING).astype(np.float32)
    color = np.rint(voxels.color / voxels.count[:, None]).astype(np.uint8)
    toward = unit_vectors(voxels.normal)
    if len(means) > MOST:
        keep = np.sort(rng.choice(len(means), MOST, replace=False))
        means, labels, color, toward = means[keep], labels[keep], color[keep], toward[keep]
    normals = fitted_normals(means, toward, FIT_SPACING)
    return Scan(name, means, labels, color if cloud.colored else None, normals)


def _on_road(street: Street, rng: np.random.Generator, height: float, tilt: float) -> np.ndarray:
    """A pose (4, 4) on the road, along it, not in the middle of a vehicle."""
    terrain = street.site.terrain
    pose = np.eye(4)
    for _ in range(30):
        x = rng.uniform(-1, 1) * street.site.reach
        lane = rng.uniform(-0.7, 0.7) * terrain.half_width
        pose = _pose_at(street, x, lane, height, rng.choice([-1, 1]))
        if street.site.free(pose[:2, 3], 1.4):
            break
    return _turned(pose, _small_turn(rng, tilt))


def _drive(street: Street, rng: np.random.Generator, way: np.ndarray, height: float) -> np.ndarray:
    """Poses (N, 4, 4) along the road after ``way`` (N,) metres, where little stands in the way."""
    best, fewest = np.empty(0), len(way) + 1
    for _ in range(20):
        start, ahead = rng.uniform(-1, 1) * street.site.reach, rng.choice([-1, 1])
        lane = rng.uniform(-0.7, 0.7) * street.site.terrain.half_width
        poses = np.array([_pose_at(street, start + ahead * w, lane, height, ahead) for w in way])
        blocked = sum(not street.site.free(pose[:2, 3], 1.2) for pose in poses)
        if blocked < fewest:
            best, fewest = poses, blocked
        if not blocked:
            break
    return best


def _pose_at(street: Street, x: float, lane: float, height: float, ahead: int) -> np.ndarray:
    """The pose (4, 4) of a sensor on a vehicle on the road, pitched with the road."""
    terrain = street.site.terrain
    turn = terrain.direction(x) + (0 if ahead > 0 else np.pi)
    place = terrain.aside(x, lane)
    along = np.array([np.cos(turn), np.sin(turn)])
    front, back = (float(terrain.height(*(place + s * along))) for s in (1.3, -1.3))
    pose = np.eye(4)
    pitch = rotation_about("y", -np.arctan2(front - back, 2.6))
    pose[:3, :3] = rotation_about("z", turn) @ pitch
    pose[:3, 3] = [*place, (front + back) / 2 + height]
    return pose


def _standpoint(
    street: Street, rng: np.random.Generator, height: float, tilt: float
) -> np.ndarray:
    """A pose (4, 4) anywhere on free ground near the road, turned at random."""
    terrain = street.site.terrain
    place = terrain.aside(0.0, 0.0)
    for _ in range(60):
        away = rng.normal(0, terrain.half_width + terrain.pavement + 3)
        tried = terrain.aside(rng.uniform(-1, 1) * street.site.reach, away)
        if street.site.free(tried, 0.7):
            place = tried
            break
    pose = np.eye(4)
    pose[:3, :3] = rotation_about("z", rng.uniform(0, 2 * np.pi)) @ _small_turn(rng, tilt)
    pose[:3, 3] = [*place, float(terrain.height(*place)) + height]
    return pose


def _turned(pose: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    turned = pose.copy()
    turned[:3, :3] = pose[:3, :3] @ rotation
    return turned


def _small_turn(rng: np.random.Generator, radians: float) -> np.ndarray:
    """A rotation (3, 3) about x and y by normally distributed angles."""
    return rotation_about("x", rng.normal(0, radians)) @ rotation_about(
        "y", rng.normal(0, radians)
    )

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""LiDARs and depth cameras outdoors: their beams, and what comes back of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from concerto_ros.sim.scene import NOTHING
from concerto_ros.sim.streets.street import Street

#: How often a beam is followed through gaps.
_PASSES = 3
#: The exponent of the cosine of the angle of incidence: real surfaces scatter back more at grazing
#: angles than a matt one, whose exponent is 1.
_GRAZING = 0.4


@dataclass(frozen=True, eq=False)
class Lidar:
    """A range sensor; x is forward, z up.

    Attributes:
        name: of the model.
        directions: (R, C, 3) float32 unit, R rings from below to above, C columns in turn.
        reach: metres at which a white surface, met at a right angle, returns half the beams.
        limit: farthest range, metres.
        nearest: nearest range, metres.
        sigma: noise of the range, metres.
        sigma_squared: noise that grows with the square of the range, 1/m: cameras.
        echoes: whether beams that pass through leaves return what is behind, too.
    """

    name: str
    directions: np.ndarray
    reach: float
    limit: float
    nearest: float
    sigma: float
    sigma_squared: float = 0.0
    echoes: bool = False


@dataclass(frozen=True, eq=False)
class Returns:
    """What came back of one sweep.

    Attributes:
        points: (N, 3) float32 in the sensor's frame, metres.
        labels: (N,) uint8; 255 where no surface is: strays.
        colors: (N, 3) uint8 RGB of the surfaces, with a plain light from above.
    """

    points: np.ndarray
    labels: np.ndarray
    colors: np.ndarray


#: Lowest and highest elevation in degrees, and choices of the number of rings, of spinning LiDARs.
SPINNING = {
    "vlp16": (-15.0, 15.0, (16,)),
    "vlp32": (-25.0, 15.0, (32,)),
    "hdl32": (-30.67, 10.67, (32,)),
    "hdl64": (-24.8, 2.0, (64,)),
    "os0": (-45.0, 45.0, (32, 64, 128)),
    "os1": (-22.5, 22.5, (16, 32, 64, 128)),
    "os2": (-11.25, 11.25, (64, 128)),
    "hesai": (-25.0, 15.0, (40, 64)),
}


def draw_spinning(rng: np.random.Generator, name: str, columns: int | None = None) -> Lidar:
    """A spinning LiDAR of a kind in :data:`SPINNING`, with some columns a turn."""
    low, high, counts = SPINNING[name]
    rings = int(rng.choice(counts))
    if columns is None:
        columns = int(rng.choice([512, 1024, 1024, 1800] if rings <= 64 else [512, 1024]))
    share = np.linspace(0, 1, rings)
    if name in ("vlp32", "hesai"):  # denser about the horizon
        share = 0.5 + 0.5 * np.sign(2 * share - 1) * np.abs(2 * share - 1) ** 1.8
        middle = (0 - low) / (high - low)
        share = np.interp(share, [0, 0.5, 1], [0, middle, 1])
    elevation = np.radians(low + share * (high - low)) + rng.normal(0, 0.001, rings)
    if name == "hdl64":  # the lower half of the rings is half as dense
        upper = np.radians(np.linspace(-8.8, 2.0, 32))
        elevation = np.concatenate([np.radians(np.linspace(-24.8, -9.2, 32)), upper])
    turn = np.arange(columns) * 2 * np.pi / columns
    # Columns of the rings are a little aside of each other.
    turn = turn[None] + rng.normal(0, 0.2, (rings, 1)) * 2 * np.pi / columns
    lift = np.broadcast_to(elevation[:, None], turn.shape)
    return Lidar(
        name,
        _unit(lift, turn),
        reach=float(np.exp(rng.uniform(np.log(90), np.log(300)))),
        limit=float(rng.choice([80.0, 100.0])),
        nearest=rng.uniform(0.3, 1.0),
        sigma=rng.uniform(0.006, 0.035),
        echoes=rng.random() < 0.35,
    )


def draw_forward(rng: np.random.Generator, name: str) -> Lidar:
    """A sensor that looks ahead: ``solid`` (a grid), ``rosette`` or ``camera`` (of depth)."""
    if name == "camera":
        rows, columns = 150, 200
        half = np.tan(rng.uniform(0.5, 0.75))
        y, z = np.linspace(half, -half, columns), np.linspace(-0.75 * half, 0.75 * half, rows)
        grid = np.stack([np.ones((rows, columns)), *np.meshgrid(y, z)], -1)
        unit = grid / np.linalg.norm(grid, axis=-1, keepdims=True)
        square = float(np.exp(rng.uniform(np.log(0.0008), np.log(0.005))))
        limit = rng.uniform(8, 20)
        return Lidar(name, unit.astype(np.float32), 400.0, limit, 0.4, 0.005, square)
    wide, tall = np.radians(rng.uniform(35, 60)), np.radians(rng.uniform(12, 36))
    if name == "rosette":
        count = int(rng.integers(20_000, 60_000))
        phase = np.arange(count) * 0.0137 + rng.uniform(0, 6)
        size = np.abs(np.sin(phase * 2.618)) ** 0.8
        lift, turn = tall * size * np.sin(phase * 1.731), wide * size * np.cos(phase)
        lift, turn = lift[None], turn[None]
    else:
        rows, columns = int(rng.choice([64, 126, 200])), int(rng.choice([300, 600]))
        lift, turn = np.meshgrid(
            np.linspace(-tall, tall, rows), np.linspace(wide, -wide, columns), indexing="ij"
        )
    reach = rng.uniform(120, 300)
    return Lidar(name, _unit(lift, turn), reach, 100.0, 0.5, rng.uniform(0.006, 0.03))


def draw_tripod(rng: np.random.Generator) -> Lidar:
    """A terrestrial laser scanner."""
    lift, turn = np.meshgrid(
        np.radians(np.linspace(-62, 80, 420)), np.arange(1100) * 2 * np.pi / 1100, indexing="ij"
    )
    return Lidar("tripod", _unit(lift, turn), 500.0, 110.0, 0.6, rng.uniform(0.002, 0.008))


def sweep(
    street: Street, sensor: Lidar, pose: np.ndarray, seconds: float, rng: np.random.Generator
) -> Returns:
    """One sweep of a sensor that does not move during it.

    Args:
        street: what is seen.
        sensor: the sensor.
        pose: (4, 4) of the sensor in the street.
        seconds: the time.
        rng: for noise and lost beams.
    """
    local = sensor.directions.reshape(-1, 3)
    directions = local @ pose[:3, :3].T.astype(np.float32)
    origin = pose[:3, 3].astype(np.float32)
    seen = follow(street, sensor, origin, directions, seconds, rng)
    row, distance, label, color = seen
    return Returns(local[row] * distance[:, None], label, color)


def follow(
    street: Street,
    sensor: Lidar,
    origins: np.ndarray,
    directions: np.ndarray,
    seconds: float,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Follow beams through the gaps that they meet, to what they return.

    Args:
        street: what is seen.
        sensor: its reach and noise.
        origins: (N, 3) or (3,), metres.
        directions: (N, 3) unit.
        seconds: the time.
        rng: for gaps, noise and lost beams.

    Returns:
        For each return the row of its beam, its distance in metres, label and colour.
    """
    row = np.arange(len(directions))
    start = np.broadcast_to(origins, directions.shape).astype(np.float32)
    walked = np.zeros(len(row), np.float32)
    strength = np.exp(rng.normal(0, 0.45, len(row))).astype(np.float32)
    found = []
    for _ in range(_PASSES):
        hits = street.cast(start, directions[row], seconds)
        distance = walked + hits.distance
        cosine = np.abs((hits.normal * directions[row]).sum(1))
        reflectance, gaps, roughness = hits.optics.T
        with np.errstate(invalid="ignore", over="ignore"):
            signal = reflectance / 0.8 * cosine**_GRAZING * (sensor.reach / distance) ** 2
        hit = (hits.label != NOTHING) & (distance < sensor.limit)
        passes = hit & (rng.random(len(row)) < gaps)
        returned = hit & ~passes & (signal * strength > 1) & (distance > sensor.nearest)
        soft = np.abs(rng.normal(0, 1, len(row))) * roughness / np.maximum(cosine, 0.12)
        error = rng.normal(0, 1, len(row)) * (
            sensor.sigma + sensor.sigma_squared * np.minimum(distance, sensor.limit) ** 2
        )
        noisy = np.maximum(distance - np.minimum(soft, 0.6) + error, 0.05)
        shade = 0.55 + 0.45 * np.abs(hits.normal[:, 2:])
        color = (hits.color * shade).clip(0, 255).astype(np.uint8)
        found.append((row[returned], noisy[returned], hits.label[returned], color[returned]))
        if sensor.echoes:
            leaf = hits.label == street.classes.index("vegetation")
            passes |= hit & leaf & (rng.random(len(row)) < 0.3)
        if not passes.any():
            break
        step = hits.distance[passes] + 0.01
        start = start[passes] + directions[row[passes]] * step[:, None]
        walked, strength = walked[passes] + step, strength[passes] * 0.7
        row = row[passes]
    parts = [np.concatenate(column) for column in zip(*found, strict=True)]
    return parts[0], parts[1].astype(np.float32), parts[2], parts[3]


def _unit(lift: np.ndarray, turn: np.ndarray) -> np.ndarray:
    return np.stack(
        [np.cos(lift) * np.cos(turn), np.cos(lift) * np.sin(turn), np.sin(lift)], -1
    ).astype(np.float32)

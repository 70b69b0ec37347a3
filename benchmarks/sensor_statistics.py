# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Statistics of simulated and of real scans, for the table in docs/demo_model.md.

``python -m benchmarks.sensor_statistics DATA [ROOMS]`` prints them as Markdown tables: a
column per real recording below the folder DATA, of those of ``benchmarks.recordings``, and the
quartiles of so many simulated rooms. All are single views or sweeps, before they are fused.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation

from concerto_ros.bags.reader import open_bag
from concerto_ros.cli.segment import upright
from concerto_ros.learning.demo_model.rooms import TEST_SEEDS
from concerto_ros.learning.demo_model.sensing.cameras import SINGLE, camera_captures
from concerto_ros.learning.demo_model.sensing.lidars import lidar_captures
from concerto_ros.learning.demo_model.simulated_scans import CLOSE, room_of
from concerto_ros.mapping.voxel_grid import grid_sample
from concerto_ros.segmentation.level import find_level
from concerto_ros.sensors.cloud_files import read_cloud_file
from concerto_ros.sensors.normals import neighbourhood_normals
from concerto_ros.sensors.point_cloud2 import decode_point_cloud

#: Ranges in which density and noise are measured, metres.
CAMERA_RANGES = ((0.5, 1.0), (1.0, 2.0), (2.0, 4.0))
LIDAR_RANGES = ((1.0, 3.0), (3.0, 6.0), (6.0, 12.0))
#: Voxel size of the model for either, metres: the outdoor preset's for the real sweeps would hide
#: what a room's shows.
VOXEL = 0.04
#: Points whose neighbourhoods are looked at.
SAMPLE = 4000
#: A reading with fewer voxels is left out.
FEWEST = 200


class Reading(NamedTuple):
    """One view or sweep: points (N, 3) with z up, the sensor (3,), and pixels of the image."""

    points: np.ndarray
    sensor: np.ndarray
    pixels: int = 0


def row(reading: Reading, ranges: tuple[tuple[float, float], ...]) -> list[float]:
    """The statistics of a reading, in the order of :func:`headings`; NaN for too few points.

    None at all for a reading of a few voxels.
    """
    points = reading.points.astype(np.float64)
    distance = np.linalg.norm(points - reading.sensor, axis=1)
    voxels = grid_sample(points.astype(np.float32), VOXEL)
    means = voxels.means(VOXEL).astype(np.float64)
    if len(means) < FEWEST:
        return []
    away = np.linalg.norm(means - reading.sensor, axis=1)
    normals = neighbourhood_normals(means, reading.sensor - means)
    rows = np.random.default_rng(0).permutation(len(means))[:SAMPLE]
    _, near = KDTree(means).query(means[rows], 16)
    around = means[near] - means[near].mean(1, keepdims=True)
    spread = np.sqrt(np.linalg.eigvalsh(around.transpose(0, 2, 1) @ around / 16).clip(0))
    # Planes: the neighbours are much wider than they are thick.
    plane = (spread[:, 0] < 0.25 * spread[:, 1]) & (spread[:, 1] > 0.3 * spread[:, 2])
    cosine = np.abs(np.einsum("ni,ni->n", normals[rows], normals[near[:, 1]])).clip(0, 1)
    angle = np.degrees(np.arccos(cosine))
    result = [np.nan if not reading.pixels else 100 * (1 - len(points) / reading.pixels)]
    result.append(100 * float(np.mean(np.abs(normals[:, 2]) > np.cos(np.radians(20)))))
    for low, high in ranges:
        inside = (away > low) & (away < high)
        of_points = ((distance > low) & (distance < high)).sum()
        flat = plane & inside[rows]
        few = flat.sum() < 30
        result.append(np.nan if inside.sum() < 50 else of_points / inside.sum())
        result.append(np.nan if few else 1000 * float(np.median(spread[flat, 0])))
        result.append(np.nan if few else float(np.median(angle[flat])))
    return result


def headings(ranges: tuple[tuple[float, float], ...]) -> list[str]:
    """What the columns are."""
    names = ["no reading, %", "horizontal, %"]
    for low, high in ranges:
        between = f"{low:g} to {high:g} m"
        names += [f"points in a voxel, {between}", f"thickness, mm, {between}"]
        names.append(f"normals, degrees, {between}")
    return names


def real_views(data: Path) -> Iterator[tuple[str, Reading]]:
    """The depth images below a folder."""
    office = data / "pcd/office1.pcd"
    if office.is_file():
        points = read_cloud_file(office).frame.points @ upright("-y").T
        level = find_level(points.astype(np.float32), VOXEL)
        turn = np.eye(3) if level is None else level.rotation
        yield "Kinect, office", Reading(points @ turn.T, np.zeros(3), 640 * 480)
    desk = data / "rgbd_desk_files"
    if desk.is_dir():
        poses = np.loadtxt(desk / "groundtruth.txt")
        for path in sorted((desk / "depth").glob("*.png"))[::4]:
            depth = np.asarray(Image.open(path)).astype(np.float64) / 5000
            seen = depth > 0
            v, u = np.nonzero(seen)
            rays = np.stack([(u - 319.5) / 525, (v - 239.5) / 525, np.ones(len(u))], axis=1)
            pose = poses[np.abs(poses[:, 0] - float(path.stem)).argmin()]
            rotation = Rotation.from_quat(pose[4:8]).as_matrix()
            points = rays * depth[seen][:, None] @ rotation.T + pose[1:4]
            yield "Kinect, desk", Reading(points, pose[1:4], depth.size)


def real_sweeps(data: Path) -> Iterator[tuple[str, Reading]]:
    """The sweeps of LiDARs below a folder."""
    for path in sorted((data / "lidar_ouster").glob("*.npz")):
        points = read_cloud_file(path).frame.points
        yield path.stem.split("_")[0], Reading(points, np.zeros(3))
    bag_path = data / "lidar_vlp16_bag"
    if bag_path.is_dir():
        with open_bag(bag_path) as bag:
            for _, message_type, _, raw in bag.messages(["/velodyne_points"]):
                frame = decode_point_cloud(bag.deserialize(raw, message_type))
                yield "VLP-16", Reading(frame.points, np.zeros(3))
                return


def simulated(rooms: int) -> Iterator[tuple[str, Reading]]:
    """Views and sweeps of test rooms: across the room, close by, and of a LiDAR."""
    for seed in TEST_SEEDS[:rooms]:
        room, rng = room_of(seed), np.random.default_rng((seed, 3))
        for name, captures, pixels in (
            ("view", camera_captures(room, rng), SINGLE[0] * SINGLE[1]),
            ("close", camera_captures(room, rng, 1, CLOSE[seed % 3]), SINGLE[0] * SINGLE[1]),
            ("LiDAR", lidar_captures(room, rng), 0),
        ):
            if captures:
                frame = captures[0].frame
                yield name, Reading(frame.points, np.asarray(frame.origin), pixels)


def table(
    real: list[tuple[str, Reading]],
    of_rooms: list[tuple[str, Reading]],
    ranges: tuple[tuple[float, float], ...],
) -> str:
    """A Markdown table: a statistic per row, a recording or a sort of simulated scan per column.

    Recordings of one name are one column with their median; simulated ones have quartiles.
    """
    columns: dict[str, list[str]] = {}
    for kind, readings in (("", real), ("simulated, ", of_rooms)):
        for name in dict.fromkeys(name for name, _ in readings):
            rows = [row(reading, ranges) for other, reading in readings if other == name]
            values = np.array([value for value in rows if value])
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # of columns without a number
                quartiles = np.nanpercentile(values, (25, 50, 75), axis=0).T
            columns[kind + name] = [
                " / ".join(map(_text, three)) if kind else _text(three[1]) for three in quartiles
            ]
    lines = ["| | " + " | ".join(columns) + " |", "| --- |" + " ---: |" * len(columns)]
    for number, name in enumerate(headings(ranges)):
        lines.append(f"| {name} | " + " | ".join(c[number] for c in columns.values()) + " |")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Print both tables; the exit status."""
    data, rooms = Path(arguments[0]), int(arguments[1]) if len(arguments) > 1 else 16
    of_rooms = list(simulated(rooms))
    views = [(name, reading) for name, reading in of_rooms if name != "LiDAR"]
    sweeps = [(name, reading) for name, reading in of_rooms if name == "LiDAR"]
    print(table(list(real_views(data)), views, CAMERA_RANGES), end="\n\n")
    print(table(list(real_sweeps(data)), sweeps, LIDAR_RANGES))
    return 0


def _text(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.1f}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

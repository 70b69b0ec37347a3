# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The augmentations that Sonata and Concerto are trained and probed with, on labelled scans.

Each is a value with a call: ``augmentation(scan, random) -> scan``, where ``random`` is a numpy
Generator and the scan given stays as it is. Points may be left out, always with their labels;
normals turn with the points.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from concerto_ros.learning.data.elastic import smooth_noise
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.mapping.voxel_grid import pack

Augmentation = Callable[[Scan, np.random.Generator], Scan]

AXES = {"x": 0, "y": 1, "z": 2}


@dataclass(frozen=True)
class Compose:
    """One augmentation after the other."""

    steps: tuple[Augmentation, ...]

    def __call__(self, scan: Scan, random: np.random.Generator) -> Scan:
        for step in self.steps:
            scan = step(scan, random)
        return scan


@dataclass(frozen=True)
class Centre:
    """Move the middle of the bounding box in x and y, and its lowest z, to zero."""

    def __call__(self, scan: Scan, random: np.random.Generator) -> Scan:
        low, high = scan.points.min(axis=0), scan.points.max(axis=0)
        middle = np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]], np.float32)
        return replace(scan, points=scan.points - middle)


@dataclass(frozen=True)
class Rotate:
    """Turn about an ``axis`` through the origin by up to ``angle`` radians either way."""

    axis: str
    angle: float
    probability: float = 1.0

    def __call__(self, scan: Scan, random: np.random.Generator) -> Scan:
        if random.random() >= self.probability:
            return scan
        angle = random.uniform(-self.angle, self.angle)
        i, j = ((1, 2), (2, 0), (0, 1))[AXES[self.axis]]
        turn = np.eye(3)
        turn[i, i] = turn[j, j] = np.cos(angle)
        turn[j, i], turn[i, j] = np.sin(angle), -np.sin(angle)
        return transformed(scan, turn)


@dataclass(frozen=True)
class Flip:
    """Mirror x, and mirror y, each with a ``probability``."""

    probability: float = 0.5

    def __call__(self, scan: Scan, random: np.random.Generator) -> Scan:
        mirrored = random.random(2) < self.probability
        return transformed(scan, np.diag([*np.where(mirrored, -1.0, 1.0), 1.0]))


@dataclass(frozen=True)
class Scale:
    """Scale by one factor from ``low`` to ``high``."""

    low: float = 0.9
    high: float = 1.1

    def __call__(self, scan: Scan, random: np.random.Generator) -> Scan:
        factor = np.float32(random.uniform(self.low, self.high))
        return replace(scan, points=scan.points * factor)


@dataclass(frozen=True)
class Jitter:
    """Move each point by Gaussian noise of ``sigma`` metres per axis, at most ``clip``."""

    sigma: float = 0.005
    clip: float = 0.02

    def __call__(self, scan: Scan, random: np.random.Generator) -> Scan:
        noise = random.standard_normal(scan.points.shape, np.float32) * np.float32(self.sigma)
        return replace(scan, points=scan.points + np.clip(noise, -self.clip, self.clip))


@dataclass(frozen=True)
class Elastic:
    """Bend space by smooth noise, in turn by each (grain, strength), both in metres.

    Normals stay: the bends are gentle beside the grain, and the papers leave them too.
    """

    bends: tuple[tuple[float, float], ...] = ((0.2, 0.4), (0.8, 1.6))
    probability: float = 0.95

    def __call__(self, scan: Scan, random: np.random.Generator) -> Scan:
        if random.random() >= self.probability:
            return scan
        points = scan.points
        for grain, strength in self.bends:
            points = points + np.float32(strength) * smooth_noise(points, grain, random)
        return replace(scan, points=points)


@dataclass(frozen=True)
class DropPoints:
    """Leave out a share of the points, at least one stays."""

    share: float = 0.2
    probability: float = 1.0

    def __call__(self, scan: Scan, random: np.random.Generator) -> Scan:
        if random.random() >= self.probability:
            return scan
        kept = max(1, len(scan) - int(len(scan) * self.share))
        return taken(scan, np.sort(random.choice(len(scan), kept, replace=False)))


@dataclass(frozen=True)
class CropSphere:
    """Keep the points around a random one that fill at most so many voxels of a size in metres."""

    max_voxels: int
    voxel_size: float

    def __call__(self, scan: Scan, random: np.random.Generator) -> Scan:
        middle = scan.points[random.integers(len(scan))]
        distance = np.square(scan.points.astype(np.float64) - middle).sum(axis=1)
        order = np.argsort(distance, kind="stable")
        index = np.floor(scan.points.astype(np.float64) / self.voxel_size)
        _, first = np.unique(pack(index)[order], return_index=True)
        if len(first) <= self.max_voxels:
            return scan
        # in the order of distance, the point that opens the first voxel too many
        limit = np.partition(first, self.max_voxels)[self.max_voxels]
        return taken(scan, np.sort(order[:limit]))


@dataclass(frozen=True)
class AutoContrast:
    """Blend with colours stretched to the full range of each channel, by a random share."""

    probability: float = 0.2

    def __call__(self, scan: Scan, random: np.random.Generator) -> Scan:
        if scan.colors is None or random.random() >= self.probability:
            return scan
        colors = scan.colors.astype(np.float32)
        low, high = colors.min(axis=0), colors.max(axis=0)
        stretched = (colors - low) * (255 / np.maximum(high - low, 1))
        return recoloured(scan, colors + np.float32(random.random()) * (stretched - colors))


@dataclass(frozen=True)
class ShiftColors:
    """Add one value to each channel, up to ``share`` of the range either way."""

    share: float = 0.05
    probability: float = 0.95

    def __call__(self, scan: Scan, random: np.random.Generator) -> Scan:
        if scan.colors is None or random.random() >= self.probability:
            return scan
        shift = random.uniform(-self.share, self.share, 3) * 255
        return recoloured(scan, scan.colors + shift.astype(np.float32))


@dataclass(frozen=True)
class JitterColors:
    """Add Gaussian noise to each colour; ``sigma`` is a share of the range."""

    sigma: float = 0.05
    probability: float = 0.95

    def __call__(self, scan: Scan, random: np.random.Generator) -> Scan:
        if scan.colors is None or random.random() >= self.probability:
            return scan
        noise = random.standard_normal(scan.colors.shape, np.float32)
        return recoloured(scan, scan.colors + noise * np.float32(self.sigma * 255))


def indoor(voxel_size: float = 0.02, max_voxels: int = 102_400) -> Compose:
    """What Sonata and Concerto are probed and fine-tuned with on ScanNet and S3DIS."""
    return Compose(
        (
            Centre(),
            DropPoints(0.2),
            Rotate("z", np.pi, 0.5),
            Rotate("x", np.pi / 64, 0.5),
            Rotate("y", np.pi / 64, 0.5),
            Scale(0.9, 1.1),
            Flip(),
            Jitter(0.005, 0.02),
            Elastic(),
            AutoContrast(),
            ShiftColors(),
            JitterColors(),
            CropSphere(max_voxels, voxel_size),
        )
    )


def outdoor(voxel_size: float = 0.05, max_voxels: int = 120_000) -> Compose:
    """What Concerto is probed with on driving data, about the vehicle at the origin.

    Its jitter there is given after scaling by 0.2: sigma 0.0025 and clip 0.01 are 1.25 and 5 cm.
    """
    return Compose(
        (
            Rotate("z", np.pi, 0.5),
            Scale(0.9, 1.1),
            Flip(),
            Jitter(0.0125, 0.05),
            CropSphere(max_voxels, voxel_size),
        )
    )


def mix(
    scans: Sequence[Scan], random: np.random.Generator, probability: float = 0.8
) -> list[Scan]:
    """Lay neighbouring scans of a batch over each other in pairs, each pair with ``probability``.

    Two rooms in one place: what a thing is must be told from the thing more than from the room
    (Nekrasov et al., "Mix3D", 3DV 2021). To be done after the other augmentations, as the scans
    have to be centred alike. Of an odd number the last stays by itself.
    """
    result = []
    for first in range(0, len(scans), 2):
        pair = list(scans[first : first + 2])
        result += [joined(*pair)] if len(pair) == 2 and random.random() < probability else pair
    return result


def joined(one: Scan, other: Scan) -> Scan:
    """The points of both; a colour or normal that only one of them has is zero in the other."""
    values = {}
    for name in ("colors", "normals"):
        pair = [getattr(one, name), getattr(other, name)]
        given = next((value for value in pair if value is not None), None)
        if given is not None:
            values[name] = np.concatenate(
                [
                    np.zeros((len(scan), 3), given.dtype) if value is None else value
                    for scan, value in zip((one, other), pair, strict=True)
                ]
            )
    return Scan(
        f"{one.name} + {other.name}",
        np.concatenate([one.points, other.points]),
        np.concatenate([one.labels, other.labels]),
        **values,
    )


def transformed(scan: Scan, turn: np.ndarray) -> Scan:
    """Points and normals under an orthogonal (3, 3) matrix."""
    turn = np.ascontiguousarray(turn.T, np.float32)
    normals = None if scan.normals is None else scan.normals @ turn
    return replace(scan, points=scan.points @ turn, normals=normals)


def taken(scan: Scan, rows: np.ndarray) -> Scan:
    """The points of ``rows`` with all that belongs to them."""
    return replace(
        scan,
        points=scan.points[rows],
        labels=scan.labels[rows],
        colors=None if scan.colors is None else scan.colors[rows],
        normals=None if scan.normals is None else scan.normals[rows],
    )


def recoloured(scan: Scan, colors: np.ndarray) -> Scan:
    """The scan in ``colors`` (N, 3), rounded and within 0..255."""
    return replace(scan, colors=np.clip(np.rint(colors), 0, 255).astype(np.uint8))

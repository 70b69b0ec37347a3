# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The augmentations that Sonata and Concerto are trained and probed with, on labelled scans.

Each is a frozen dataclass with a call: ``augmentation(scan, random) -> scan``, where ``random`` is
a numpy Generator and the input scan is not changed. Points may be dropped, always with their
labels; normals rotate with the points. The ``repr`` of an augmentation, its name and fields, is
part of a training run's identity.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from concerto_ros.learning.data.elastic import smooth_noise
from concerto_ros.learning.data.labelled_scan import NO_NAME, Scan
from concerto_ros.mapping.voxel_grid import pack

Augmentation = Callable[[Scan, np.random.Generator], Scan]

AXES = {"x": 0, "y": 1, "z": 2}


@dataclass(frozen=True)
class Compose:
    """Apply augmentations one after the other."""

    steps: tuple[Augmentation, ...]

    def __call__(self, scan: Scan, random: np.random.Generator) -> Scan:
        """The scan after all steps."""
        for step in self.steps:
            scan = step(scan, random)
        return scan


@dataclass(frozen=True)
class Centre:
    """Translate the centre of the bounding box in x and y, and its lowest z, to zero."""

    def __call__(self, scan: Scan, random: np.random.Generator) -> Scan:
        """The centred scan."""
        low, high = scan.points.min(axis=0), scan.points.max(axis=0)
        center = np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]], np.float32)
        return replace(scan, points=scan.points - center)


@dataclass(frozen=True)
class Rotate:
    """Rotate about an ``axis`` through the origin by up to ``angle`` radians either way."""

    axis: str
    angle: float
    probability: float = 1.0

    def __call__(self, scan: Scan, random: np.random.Generator) -> Scan:
        """The rotated scan, or the scan itself with probability ``1 - probability``."""
        if random.random() >= self.probability:
            return scan
        angle = random.uniform(-self.angle, self.angle)
        i, j = ((1, 2), (2, 0), (0, 1))[AXES[self.axis]]
        rotation = np.eye(3)
        rotation[i, i] = rotation[j, j] = np.cos(angle)
        rotation[j, i], rotation[i, j] = np.sin(angle), -np.sin(angle)
        return transformed(scan, rotation)


@dataclass(frozen=True)
class Flip:
    """Mirror x and y, each with a ``probability``."""

    probability: float = 0.5

    def __call__(self, scan: Scan, random: np.random.Generator) -> Scan:
        """The scan, mirrored or not."""
        mirrored = random.random(2) < self.probability
        return transformed(scan, np.diag([*np.where(mirrored, -1.0, 1.0), 1.0]))


@dataclass(frozen=True)
class Scale:
    """Scale uniformly by a factor from ``low`` to ``high``."""

    low: float = 0.9
    high: float = 1.1

    def __call__(self, scan: Scan, random: np.random.Generator) -> Scan:
        """The scaled scan."""
        factor = np.float32(random.uniform(self.low, self.high))
        return replace(scan, points=scan.points * factor)


@dataclass(frozen=True)
class Jitter:
    """Add Gaussian noise to each point: ``sigma`` metres per axis, clipped to ``clip``."""

    sigma: float = 0.005
    clip: float = 0.02

    def __call__(self, scan: Scan, random: np.random.Generator) -> Scan:
        """The scan with noise on its points."""
        noise = random.standard_normal(scan.points.shape, np.float32) * np.float32(self.sigma)
        return replace(scan, points=scan.points + np.clip(noise, -self.clip, self.clip))


@dataclass(frozen=True)
class Elastic:
    """Elastic distortion: displace points by smooth noise.

    Normals are not changed, as in the papers: the displacement varies slowly.

    Attributes:
        bends: (grain, strength) of each displacement, both in metres, applied in this order.
        probability: Probability of a distortion at all.
    """

    bends: tuple[tuple[float, float], ...] = ((0.2, 0.4), (0.8, 1.6))
    probability: float = 0.95

    def __call__(self, scan: Scan, random: np.random.Generator) -> Scan:
        """The distorted scan, or the scan itself."""
        if random.random() >= self.probability:
            return scan
        points = scan.points
        for grain, strength in self.bends:
            points = points + np.float32(strength) * smooth_noise(points, grain, random)
        return replace(scan, points=points)


@dataclass(frozen=True)
class DropPoints:
    """Drop a ``share`` of the points; at least one remains."""

    share: float = 0.2
    probability: float = 1.0

    def __call__(self, scan: Scan, random: np.random.Generator) -> Scan:
        """The scan without the dropped points, the others in their order."""
        if random.random() >= self.probability:
            return scan
        kept = max(1, len(scan) - int(len(scan) * self.share))
        return select(scan, np.sort(random.choice(len(scan), kept, replace=False)))


@dataclass(frozen=True)
class CropSphere:
    """Keep the points nearest to a random one that fill at most ``max_voxels`` voxels.

    Attributes:
        max_voxels: Maximum number of occupied voxels.
        voxel_size: Metres.
    """

    max_voxels: int
    voxel_size: float

    def __call__(self, scan: Scan, random: np.random.Generator) -> Scan:
        """The cropped scan, its points in their order; the scan itself if it is small enough."""
        center = scan.points[random.integers(len(scan))]
        distance = np.square(scan.points.astype(np.float64) - center).sum(axis=1)
        order = np.argsort(distance, kind="stable")
        index = np.floor(scan.points.astype(np.float64) / self.voxel_size)
        _, first = np.unique(pack(index)[order], return_index=True)
        if len(first) <= self.max_voxels:
            return scan
        # in order of distance, the first point of voxel number max_voxels + 1
        limit = np.partition(first, self.max_voxels)[self.max_voxels]
        return select(scan, np.sort(order[:limit]))


@dataclass(frozen=True)
class AutoContrast:
    """Stretch each colour channel towards its full range, by a random share."""

    probability: float = 0.2

    def __call__(self, scan: Scan, random: np.random.Generator) -> Scan:
        """The recoloured scan, or the scan itself."""
        if scan.colors is None or random.random() >= self.probability:
            return scan
        colors = scan.colors.astype(np.float32)
        low, high = colors.min(axis=0), colors.max(axis=0)
        stretched = (colors - low) * (255 / np.maximum(high - low, 1))
        return recoloured(scan, colors + np.float32(random.random()) * (stretched - colors))


@dataclass(frozen=True)
class ShiftColors:
    """Shift each colour channel by up to ``share`` of the range either way."""

    share: float = 0.05
    probability: float = 0.95

    def __call__(self, scan: Scan, random: np.random.Generator) -> Scan:
        """The recoloured scan, or the scan itself."""
        if scan.colors is None or random.random() >= self.probability:
            return scan
        shift = random.uniform(-self.share, self.share, 3) * 255
        return recoloured(scan, scan.colors + shift.astype(np.float32))


@dataclass(frozen=True)
class JitterColors:
    """Add Gaussian noise to the colour of each point; ``sigma`` is a share of the range."""

    sigma: float = 0.05
    probability: float = 0.95

    def __call__(self, scan: Scan, random: np.random.Generator) -> Scan:
        """The recoloured scan, or the scan itself."""
        if scan.colors is None or random.random() >= self.probability:
            return scan
        noise = random.standard_normal(scan.colors.shape, np.float32)
        return recoloured(scan, scan.colors + noise * np.float32(self.sigma * 255))


def indoor(voxel_size: float = 0.02, max_voxels: int = 102_400) -> Compose:
    """The augmentation of Sonata's and Concerto's training on ScanNet and S3DIS."""
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
    """The augmentation of Concerto's probing on driving data, with the vehicle at the origin.

    Concerto's configuration states the jitter after scaling by 0.2: sigma 0.0025 and clip 0.01 are
    1.25 and 5 cm.
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
    """Merge scans of a batch in pairs, each pair with ``probability`` (Mix3D).

    In two overlaid rooms an object has to be recognised by itself more than by its surroundings
    (Nekrasov et al., "Mix3D", 3DV 2021). Apply it after the other augmentations, as the scans
    have to be centred in the same way. Of an odd number of scans the last is not merged.
    """
    result = []
    for first in range(0, len(scans), 2):
        pair = list(scans[first : first + 2])
        result += [joined(*pair)] if len(pair) == 2 and random.random() < probability else pair
    return result


def joined(one: Scan, other: Scan) -> Scan:
    """The points of both scans; a colour or normal that one of them lacks is zero."""
    values = _joined_names(one, other)
    for name in ("colors", "normals"):
        pair = [getattr(one, name), getattr(other, name)]
        present = next((value for value in pair if value is not None), None)
        if present is not None:
            values[name] = np.concatenate(
                [
                    np.zeros((len(scan), 3), present.dtype) if value is None else value
                    for scan, value in zip((one, other), pair, strict=True)
                ]
            )
    return Scan(
        f"{one.name} + {other.name}",
        np.concatenate([one.points, other.points]),
        np.concatenate([one.labels, other.labels]),
        **values,
    )


def _joined_names(one: Scan, other: Scan) -> dict[str, Any]:
    """Fields ``name_ids`` and ``names`` of the points of both scans; none if neither has names."""
    if one.name_ids is None and other.name_ids is None:
        return {}
    names = tuple(dict.fromkeys((*one.names, *other.names)))
    position = {name: index for index, name in enumerate(names)}
    name_ids = np.concatenate([_renumbered(scan, position) for scan in (one, other)])
    return {"name_ids": name_ids, "names": names}


def _renumbered(scan: Scan, position: Mapping[str, int]) -> np.ndarray:
    """(N,) uint16: the position of each point's name in another list, by name."""
    if scan.name_ids is None:
        return np.full(len(scan), NO_NAME, np.uint16)
    table = np.full(NO_NAME + 1, NO_NAME, np.uint16)
    table[: len(scan.names)] = [position.get(name, NO_NAME) for name in scan.names]
    return table[scan.name_ids]


def renamed(scan: Scan, names: Sequence[str]) -> Scan:
    """The scan with its fine names as positions in ``names``; a name that is not there is lost."""
    position = {name: index for index, name in enumerate(names)}
    return replace(scan, name_ids=_renumbered(scan, position), names=tuple(names))


def transformed(scan: Scan, matrix: np.ndarray) -> Scan:
    """The scan with points and normals multiplied by an orthogonal (3, 3) ``matrix``."""
    transposed = np.ascontiguousarray(matrix.T, np.float32)
    normals = None if scan.normals is None else scan.normals @ transposed
    return replace(scan, points=scan.points @ transposed, normals=normals)


def select(scan: Scan, rows: np.ndarray) -> Scan:
    """The points ``rows`` of a scan with their labels, colours, normals and names."""
    return replace(
        scan,
        points=scan.points[rows],
        labels=scan.labels[rows],
        colors=None if scan.colors is None else scan.colors[rows],
        normals=None if scan.normals is None else scan.normals[rows],
        name_ids=None if scan.name_ids is None else scan.name_ids[rows],
    )


def recoloured(scan: Scan, colors: np.ndarray) -> Scan:
    """The scan with ``colors`` (N, 3), rounded and clipped to 0..255."""
    return replace(scan, colors=np.clip(np.rint(colors), 0, 255).astype(np.uint8))

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Labelled scans as an encoder takes them, the same way the pipeline does it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from concerto_ros.labels.label_set import UNLABELLED
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.mapping.voxel_grid import FrameVoxels, grid_sample
from concerto_ros.segmentation.convention import Convention
from concerto_ros.segmentation.model_input import ModelInput, normalise_points
from concerto_ros.sensors.normals import neighbourhood_normals, unit_vectors


@dataclass(frozen=True, eq=False)
class Batch(ModelInput):
    """Some scans with their labels, each centred by itself; rows of a scan sorted by (x, y, z).

    Attributes
    ----------
    labels: (V,) int64, label of most of the voxel's points; 255 where none has one.
    inverse: for each scan, (N,) int64: the row of this batch each of its points lies in.
    """

    labels: torch.Tensor
    inverse: tuple[np.ndarray, ...]


def make_batch(scans: Sequence[Scan], convention: Convention, voxel_size: float) -> Batch:
    """Grid-sample, scale and centre each scan by itself; ``voxel_size`` in metres.

    What an encoder sees is bit for bit what the pipeline gives it for the same points, with the
    vehicle at the origin of their frame. Raises ValueError for no scan, one without points, or
    one that leaves the lattice, by name.
    """
    if not scans:
        raise ValueError("scans is empty, expected at least one")
    parts = [_voxels(scan, convention, voxel_size) for scan in scans]
    ends = np.cumsum([len(part[0]) for part in parts])
    feat, grid_coord, coord, labels = (
        torch.from_numpy(np.concatenate([part[i] for part in parts])) for i in range(4)
    )
    inverse = tuple(
        part[4] + start for part, start in zip(parts, [0, *ends[:-1].tolist()], strict=True)
    )
    return Batch(feat, grid_coord, coord, torch.from_numpy(ends), labels, inverse)


def with_normals(scan: Scan, voxel_size: float, sensor: np.ndarray | None = None) -> Scan:
    """The scan with normals, where it has none fitted to its voxels, facing the ``sensor`` (3,).

    Without a sensor they face the middle of the scan, as the pipeline's do with a cloud whose
    sensor is not known. Done once per scan, not once per step: a search costs more than the
    encoder's own geometry.
    """
    if scan.normals is not None or not len(scan):
        return scan
    seen = _grid_sampled(scan, voxel_size)
    points = seen.means(voxel_size)
    if sensor is None:
        sensor = (scan.points.min(axis=0) + scan.points.max(axis=0)) / 2
    toward = unit_vectors((sensor - points).astype(np.float32))
    normals = neighbourhood_normals(points, toward)[seen.inverse]
    return replace(scan, normals=normals)


def _voxels(scan: Scan, convention: Convention, voxel_size: float) -> tuple[np.ndarray, ...]:
    """feat, grid_coord, coord, labels of one scan and the voxel of each of its points."""
    if not len(scan):
        raise ValueError(f"{scan.name}: has no points, expected at least one")
    seen = _grid_sampled(scan, voxel_size, colors=scan.colors, normals=scan.normals)
    colors = None if seen.color is None else seen.color / seen.count[:, None]
    normals = None if seen.normal is None else unit_vectors(seen.normal)
    coord, feat = normalise_points(seen.means(voxel_size), colors, normals, convention)
    grid_coord = seen.index - seen.index.min(axis=0)
    labels = majority(seen.inverse, scan.labels, len(seen))
    return feat, grid_coord, coord, labels, seen.inverse


def _grid_sampled(scan: Scan, voxel_size: float, **channels: np.ndarray | None) -> FrameVoxels:
    """The points of ``scan`` by voxel; ValueError where one lies off the lattice."""
    seen = grid_sample(scan.points, voxel_size, **channels, inverse=True)
    if seen.outside:
        raise ValueError(
            f"{scan.name}: {seen.outside} points are not finite or more than 2**20 voxels of "
            f"{voxel_size} m from the origin"
        )
    return seen


def majority(rows: np.ndarray, labels: np.ndarray, size: int) -> np.ndarray:
    """(size,) int64: the label most points of a voxel have, the smaller one of two equally many.

    ``rows`` (N,) is the voxel and ``labels`` (N,) uint8 the label of each point. Points without a
    label do not count; a voxel of such points alone stays 255.
    """
    result = np.full(size, UNLABELLED, dtype=np.int64)
    known = labels != UNLABELLED
    if not known.any():
        return result
    pair, count = np.unique(rows[known] * 256 + labels[known], return_counts=True)
    row, label = pair >> 8, pair & 255
    first = np.flatnonzero(np.diff(row, prepend=-1))
    # The count decides; the complement of the label makes the smaller label win a tie.
    best = np.maximum.reduceat(count * 256 + (255 - label), first)
    result[row[first]] = 255 - (best & 255)
    return result

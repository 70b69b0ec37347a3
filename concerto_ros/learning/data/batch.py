# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From labelled scans to the input of an encoder, by the same steps as in the pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from concerto_ros.labels.label_set import UNLABELLED
from concerto_ros.learning.data.labelled_scan import NO_NAME, Scan
from concerto_ros.mapping.voxel_grid import FrameVoxels, grid_sample
from concerto_ros.segmentation.convention import Convention
from concerto_ros.segmentation.model_input import ModelInput, normalise_points, zero_of
from concerto_ros.sensors.normals import neighbourhood_normals, unit_vectors


@dataclass(frozen=True, eq=False)
class Batch(ModelInput):
    """Voxels of several scans with labels; each scan is centred separately, rows by (x, y, z).

    Voxels that lie alone below the floor are left out, as encoders do not see them in the node.

    Attributes:
        labels: (V,) int64 majority label of each voxel's points; 255 if none has a label.
        inverse: Per scan (N,) int64: for each of its points the row of its voxel in the batch, -1
            for one that lies alone below the floor.
        name_ids: (V,) int64 position of each voxel's fine name, that of most of its points, in
            the scans' list of names; :data:`~concerto_ros.learning.data.labelled_scan.NO_NAME`:
            none. None if the scans have no names.
    """

    labels: torch.Tensor
    inverse: tuple[np.ndarray, ...]
    name_ids: torch.Tensor | None = None

    def at_points(self, values: np.ndarray, fill: float, scan: int = 0) -> np.ndarray:
        """The value of each point's voxel.

        Args:
            values: (V, ...) of the voxels of the batch.
            fill: Value of a point whose voxel was left out.
            scan: Position of the scan in the batch.

        Returns:
            (N, ...) in the type of ``values``.
        """
        rows = self.inverse[scan]
        result = values[rows]
        result[rows < 0] = fill
        return result


def make_batch(
    scans: Sequence[Scan],
    convention: Convention,
    voxel_size: float,
    lifts: Sequence[float] | None = None,
) -> Batch:
    """Grid-sample, scale and centre each scan separately.

    The result is bit for bit what the pipeline passes to the encoder for the same points, with
    the vehicle at the origin of their frame.

    Args:
        scans: At least one scan.
        convention: Scale and centre of the coordinates.
        voxel_size: Metres.
        lifts: Per scan, metres by which its floor is taken to be higher than it is, for training
            with errors of that estimate; None: no errors. Without effect where ``convention`` does
            not count height from the floor.

    Raises:
        ValueError: There is no scan, or one (named in the message) has no points or leaves the
            voxel lattice; or scans with fine names have different lists of them.
    """
    if not scans:
        raise ValueError("scans is empty, expected at least one")
    parts = [
        _voxels(scan, convention, voxel_size, lift)
        for scan, lift in zip(scans, lifts or [0.0] * len(scans), strict=True)
    ]
    ends = np.cumsum([len(part[0]) for part in parts])
    feat, grid_coord, coord, labels = (
        torch.from_numpy(np.concatenate([part[i] for part in parts])) for i in range(4)
    )
    inverse = tuple(
        np.where(part[4] < 0, -1, part[4] + start)
        for part, start in zip(parts, [0, *ends[:-1].tolist()], strict=True)
    )
    name_ids = None
    if any(scan.name_ids is not None for scan in scans):
        if any(scan.names != scans[0].names for scan in scans):
            raise ValueError("names of the scans differ, expected one list of fine names for all")
        name_ids = torch.from_numpy(np.concatenate([part[5] for part in parts]))
    return Batch(feat, grid_coord, coord, torch.from_numpy(ends), labels, inverse, name_ids)


def with_normals(scan: Scan, voxel_size: float, sensor: np.ndarray | None = None) -> Scan:
    """The scan with normals: its own, or else ones fitted to its voxels.

    Call it once per scan, not once per step: the search for neighbours costs more than the
    encoder's own geometry.

    Args:
        scan: The scan.
        voxel_size: Metres.
        sensor: (3,) position that fitted normals face; None: the middle of the scan, as in the
            pipeline for a cloud whose sensor position is not known.
    """
    if scan.normals is not None or not len(scan):
        return scan
    voxels, inverse = _grid_sampled(scan, voxel_size)
    points = voxels.means(voxel_size)
    if sensor is None:
        sensor = (scan.points.min(axis=0) + scan.points.max(axis=0)) / 2
    sensor_direction = unit_vectors((sensor - points).astype(np.float32))
    return replace(scan, normals=neighbourhood_normals(points, sensor_direction)[inverse])


def _voxels(
    scan: Scan, convention: Convention, voxel_size: float, lift: float
) -> tuple[np.ndarray, ...]:
    """Feat, grid_coord, coord, labels of one scan, the voxel of each of its points, and names."""
    if not len(scan):
        raise ValueError(f"{scan.name}: has no points, expected at least one")
    voxels, inverse = _grid_sampled(scan, voxel_size, colors=scan.colors, normals=scan.normals)
    colors = None if voxels.color is None else voxels.color / voxels.count[:, None]
    normals = None if voxels.normal is None else unit_vectors(voxels.normal)
    points, index = voxels.means(voxel_size), voxels.index
    labels = majority(inverse, scan.labels, len(voxels))
    name_ids = np.full(len(voxels), NO_NAME, np.int64)
    if scan.name_ids is not None:
        name_ids = majority(inverse, scan.name_ids, len(voxels), NO_NAME)
    centre, strays = zero_of(points, index, voxel_size, convention, np.zeros(3))
    if convention.from_floor:
        centre = centre + [0.0, 0.0, lift]
    coord, feat = normalise_points(points, colors, normals, convention, centre)
    if strays.any():
        seen = ~strays
        row = np.where(seen, np.cumsum(seen) - 1, -1)
        feat, coord, index, labels = feat[seen], coord[seen], index[seen], labels[seen]
        name_ids = name_ids[seen]
        inverse = row[inverse]
    return feat, index - index.min(axis=0), coord, labels, inverse, name_ids


def _grid_sampled(
    scan: Scan, voxel_size: float, **channels: np.ndarray | None
) -> tuple[FrameVoxels, np.ndarray]:
    """The voxels of a scan, and (N,) the voxel of each point; ValueError outside the lattice."""
    voxels = grid_sample(scan.points, voxel_size, **channels, inverse=True)
    if voxels.outside:
        raise ValueError(
            f"{scan.name}: {voxels.outside} points are not finite or more than 2**20 voxels of "
            f"{voxel_size} m from the origin, expected none; remove them from the scan"
        )
    assert voxels.inverse is not None  # it was asked for
    return voxels, voxels.inverse


def majority(
    rows: np.ndarray, labels: np.ndarray, size: int, none: int = UNLABELLED
) -> np.ndarray:
    """Majority label of each voxel; of equally frequent labels the smallest.

    Args:
        rows: (N,) voxel of each point.
        labels: (N,) label of each point, at most ``none``.
        size: Number of voxels.
        none: Label of points that do not count: the largest that there may be.

    Returns:
        (size,) int64 labels, ``none`` for a voxel without labelled points.
    """
    result = np.full(size, none, dtype=np.int64)
    known = labels != none
    if not known.any():
        return result
    base = none + 1
    pair, count = np.unique(rows[known] * base + labels[known], return_counts=True)
    row, label = np.divmod(pair, base)
    first = np.flatnonzero(np.diff(row, prepend=-1))
    # The count decides; the complement of the label makes the smaller label win a tie.
    best = np.maximum.reduceat(count * base + (none - label), first)
    result[row[first]] = none - best % base
    return result

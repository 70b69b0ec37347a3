# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Instance segmentation: single objects in a cloud of labelled voxels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from concerto_ros.labels.label_set import UNLABELLED
from concerto_ros.labels.prediction import Prediction
from concerto_ros.mapping.map_snapshot import MapSnapshot
from concerto_ros.objects.finding.boxes import OrientedBox, upright_box
from concerto_ros.objects.finding.class_roles import ClassRoles
from concerto_ros.objects.finding.components import (
    absorb_fragments,
    connected_components,
    neighbour_pairs,
    split_thin,
)
from concerto_ros.objects.finding.flat_objects import divide_flat
from concerto_ros.objects.finding.surfaces import (
    THICKNESS,
    Surface,
    belongs_to_top,
    find_surface,
    stands_on,
)


@dataclass(frozen=True, eq=False)
class LabelledCloud:
    """Voxels with labels, in a frame whose z points up.

    Attributes:
        index: (V, 3) int lattice indices, all distinct.
        points: (V, 3) float32, metres.
        label: (V,) uint8, 255 where unlabelled.
        confidence: (V,) float32 in [0, 1].
        voxel_size: Metres.
        stamp: Nanoseconds.
        colors: (V, 3) 0..255; None for no colour.
        has_color: (V,) bool, which voxels have a colour; None for no colour.
        first_seen: (V,) int64, nanoseconds, as in the map; None for 0.
    """

    index: np.ndarray
    points: np.ndarray
    label: np.ndarray
    confidence: np.ndarray
    voxel_size: float
    stamp: int = 0
    colors: np.ndarray | None = None
    has_color: np.ndarray | None = None
    first_seen: np.ndarray | None = None

    @classmethod
    def of(cls, snapshot: MapSnapshot, prediction: Prediction) -> LabelledCloud:
        """Return a labelled map, without voxels for which the model's output is not finite."""
        keep = slice(None) if prediction.unusable is None else ~prediction.unusable
        return cls(
            index=snapshot.index[keep],
            points=snapshot.points[keep],
            label=prediction.label[keep],
            confidence=prediction.confidence[keep],
            voxel_size=snapshot.voxel_size,
            stamp=snapshot.stamp,
            colors=snapshot.colors[keep],
            has_color=snapshot.has_color[keep],
            first_seen=snapshot.first_seen[keep],
        )


@dataclass(frozen=True, eq=False)
class Instance:
    """One object.

    Attributes:
        rows: (n,) int64, ascending rows of the cloud.
        votes: (label, score) of its voxels, best first; a score is the sum of the confidences of
            the voxels with this label over the number of all voxels.
        centroid: (3,) float64, metres, mean of its voxels.
        box: Bounding box of its voxels.
        on_surface: Whether it stands on a table-like surface.
    """

    rows: np.ndarray
    votes: tuple[tuple[int, float], ...]
    centroid: np.ndarray
    box: OrientedBox
    on_surface: bool

    @property
    def count(self) -> int:
        """Number of voxels, which are points of ``~/labels``."""
        return len(self.rows)


def find_instances(cloud: LabelledCloud, roles: ClassRoles, min_voxels: int) -> list[Instance]:
    """Segment the objects of a cloud, in the order of their first rows.

    What stands on a table-like surface is an object, whatever its label. Elsewhere, touching
    voxels of one thing class are one object; smaller patches of other labels on it are merged into
    it. Both are divided where they are barely connected. Voxels whose point is not finite are
    skipped.

    Args:
        cloud: Labelled voxels.
        roles: Roles of the classes.
        min_voxels: Fewest voxels of an object.
    """
    finite = np.isfinite(cloud.points).all(axis=1)
    rows = np.flatnonzero(finite & ~np.isin(cloud.label, list(roles.background)))
    index, points, label = cloud.index[rows], cloud.points[rows], cloud.label[rows]
    pairs = neighbour_pairs(index)
    alike = pairs[label[pairs[:, 0]] == label[pairs[:, 1]]]
    tops = _surfaces(points, label, alike, roles, cloud.voxel_size, min_voxels)
    standing, label = _standing(index, points, label, pairs, tops, cloud.voxel_size, min_voxels)
    on_surface = standing >= 0
    thing = np.isin(label, list(roles.things)) & ~on_surface

    alike = pairs[(label[pairs[:, 0]] == label[pairs[:, 1]]) & thing[pairs].all(axis=1)]
    part = np.where(on_surface, standing, connected_components(len(rows), alike))
    pairs = pairs[(thing | on_surface)[pairs].all(axis=1)]
    within = pairs[part[pairs[:, 0]] == part[pairs[:, 1]]]
    part = split_thin(index, part, within, min_voxels)
    part = absorb_fragments(part, pairs[thing[pairs].all(axis=1)], min_voxels)

    members = np.flatnonzero(thing | on_surface)
    members = members[np.argsort(part[members], kind="stable")]
    bounds = np.flatnonzero(np.diff(part[members])) + 1
    groups = [group for group in np.split(members, bounds) if len(group) >= min_voxels]
    groups.sort(key=lambda group: group[0])
    return [_instance(cloud, rows[group], bool(on_surface[group[0]]), roles) for group in groups]


def _surfaces(
    points: np.ndarray,
    label: np.ndarray,
    alike: np.ndarray,
    roles: ClassRoles,
    voxel_size: float,
    min_voxels: int,
) -> list[tuple[Surface, np.ndarray]]:
    """Find the top of each table-like object, and the object's rows up to its top."""
    tops = []
    for rows in _groups(np.isin(label, list(roles.supports)), alike, min_voxels):
        top = find_surface(int(label[rows[0]]), points[rows], voxel_size)
        if top is not None:
            tops.append((top, rows[points[rows, 2] <= top.height + THICKNESS * voxel_size]))
    return tops


def _standing(
    index: np.ndarray,
    points: np.ndarray,
    label: np.ndarray,
    pairs: np.ndarray,
    tops: list[tuple[Surface, np.ndarray]],
    voxel_size: float,
    min_voxels: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Find what stands on the tops, and complete the labels of the tops.

    Returns:
        (V,) for each voxel of an object on a surface a row of the object, -1 elsewhere, and (V,)
        labels in which patches of a top have the label of the top.
    """
    standing = np.full(len(points), -1)
    free = np.ones(len(points), bool)
    whole = label.copy()
    for top, rows in tops:
        free[rows] = False
        patch = free & belongs_to_top(index, points, top, voxel_size)
        free[patch] = False
        whole[patch] = top.label
    over = np.zeros(len(points))
    for rows in _groups(free, pairs, min_voxels) if tops else ():
        for top, _ in tops:
            if stands_on(points[rows], label[rows], top, voxel_size):
                standing[rows] = rows[0]
                over[rows] = (points[rows, 2] - top.height) / voxel_size
                break
    together = (standing[pairs[:, 0]] == standing[pairs[:, 1]]) & (standing[pairs[:, 0]] >= 0)
    standing = divide_flat(index, over, standing, pairs[together], min_voxels)
    # The lowest voxels of an object are in the top: those of another label than the top's, below
    # voxels of the object, belong to it.
    stacked = pairs[(index[pairs[:, 0], :2] == index[pairs[:, 1], :2]).all(axis=1)]
    descending = index[stacked[:, 0], 2] > index[stacked[:, 1], 2]
    lower, upper = np.where(descending[:, None], stacked[:, ::-1], stacked).T
    foot = (standing[upper] >= 0) & (whole[lower] != label[lower])
    standing[lower[foot]] = standing[upper[foot]]
    return standing, whole


def _groups(chosen: np.ndarray, pairs: np.ndarray, min_voxels: int) -> list[np.ndarray]:
    """Find the connected components of the chosen rows, ascending, of at least ``min_voxels``."""
    part = connected_components(len(chosen), pairs[chosen[pairs].all(axis=1)])
    rows = np.flatnonzero(chosen)
    rows = rows[np.argsort(part[rows], kind="stable")]
    groups = np.split(rows, np.flatnonzero(np.diff(part[rows])) + 1)
    return [group for group in groups if len(group) >= max(min_voxels, 1)]


def _instance(
    cloud: LabelledCloud, rows: np.ndarray, on_surface: bool, roles: ClassRoles
) -> Instance:
    points = cloud.points[rows].astype(np.float64)
    return Instance(
        rows=rows,
        votes=_votes(cloud, rows, roles.supports if on_surface else frozenset()),
        centroid=points.mean(axis=0),
        box=upright_box(points, cloud.voxel_size),
        on_surface=on_surface,
    )


def _votes(
    cloud: LabelledCloud, rows: np.ndarray, without: frozenset[int]
) -> tuple[tuple[int, float], ...]:
    """Count the votes of ``rows`` without some labels: what stands on a table is no table."""
    sums = np.bincount(cloud.label[rows], cloud.confidence[rows], minlength=UNLABELLED + 1)
    sums[[UNLABELLED, *without]] = 0
    best = np.argsort(-sums, kind="stable")
    return tuple((int(b), float(sums[b] / len(rows))) for b in best if sums[b] > 0)

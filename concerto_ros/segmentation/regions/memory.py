# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What was predicted of each voxel of the map, and from which readings."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

import numpy as np
import torch

from concerto_ros.heads.similarity import FeatureQuery
from concerto_ros.labels.prediction import Prediction
from concerto_ros.mapping.map_snapshot import MapSnapshot
from concerto_ros.mapping.voxel_grid import find_keys, pack, unpack
from concerto_ros.segmentation.regions.selection import NEVER, History, Region, select, whole_map

#: A voxel has changed if the mean of its readings moved by more than this, voxels,
MOVED = 0.25
#: or its mean colour by more than this in a channel, of 255,
RECOLOURED = 24.0
#: or its normal by more than an angle of this cosine.
TURNED = 0.9
#: From the key of a voxel to those of the six that share a face with it.
_STEPS = tuple(
    int(pack(unit[None])[0] - pack(0 * unit[None])[0])
    for unit in np.concatenate([np.eye(3, dtype=np.int64), -np.eye(3, dtype=np.int64)])
)


@dataclass(frozen=True, eq=False)
class Asked:
    """What a prediction computes; what was remembered answers only the same.

    Attributes:
        labeller: computes the labels; another one has another head, or other classes.
        outputs: ``labels`` and ``pca`` or one of them.
        like: what the query compares with, as in :class:`FeatureQuery`.
        match: likewise.
        features: whether the query names features of rows or of all voxels, which are not
            remembered.
    """

    labeller: object
    outputs: frozenset[str]
    like: torch.Tensor | None = None
    match: Callable | None = None
    features: bool = False

    @classmethod
    def of(
        cls, labeller: object, outputs: Collection[str], question: FeatureQuery | None
    ) -> Asked:
        """Collect what is asked."""
        asked = question or FeatureQuery()
        features = asked.every or asked.rows is not None
        return cls(labeller, frozenset(outputs), asked.like, asked.match, features)

    def answered_by(self, other: Asked) -> bool:
        """Whether a prediction of what ``other`` asked has everything that this asks for."""
        return (
            self.labeller is other.labeller
            and not self.features
            and self.outputs <= other.outputs
            and (self.like is None or self.like is other.like)
            and (self.match is None or self.match == other.match)
        )


@dataclass(frozen=True, eq=False)
class _Remembered:
    """The prediction of V voxels, and what it was made from; see :class:`MapSnapshot`."""

    asked: Asked
    prediction: Prediction
    stamp: int
    keys: np.ndarray
    predicted: np.ndarray
    unsettled: np.ndarray
    points: np.ndarray
    colors: np.ndarray
    normals: np.ndarray


class PredictionMemory:
    """Remembers the newest prediction of every voxel, and tells which have to be predicted anew.

    The voxels of the newest map are kept: one that leaves the map and comes back later starts
    from scratch, as in the label fusion.
    """

    def __init__(self) -> None:
        self._last: _Remembered | None = None

    def asked(
        self, labeller: object, outputs: Collection[str], question: FeatureQuery | None
    ) -> Asked:
        """Return what to compute: what is asked for, and what other outputs are remembered.

        Outputs that take turns would otherwise forget each other.
        """
        asked, last = Asked.of(labeller, outputs, question), self._last
        if last is None or last.asked.labeller is not labeller:
            return asked
        return replace(asked, outputs=asked.outputs | last.asked.outputs)

    def region(self, snapshot: MapSnapshot, asked: Asked) -> Region:
        """Return the part of the map to predict.

        Args:
            snapshot: the V voxels of the map.
            asked: of :meth:`asked`.
        """
        last = self._last
        if last is None or snapshot.stamp < last.stamp or not asked.answered_by(last.asked):
            return whole_map(len(snapshot))
        row = self._rows(snapshot, last)
        known = np.flatnonzero(row >= 0)
        before = row[known]
        predicted = np.full(len(snapshot), NEVER)
        predicted[known] = last.predicted[before]
        unsettled, changed = (np.zeros(len(snapshot), bool) for _ in range(2))
        unsettled[known] = last.unsettled[before]
        changed[known] = _changed(snapshot, known, last, before)
        stayed = np.zeros(len(last.keys), bool)
        stayed[before] = True
        gone = unpack(last.keys[~stayed])
        history = History(snapshot.index, snapshot.first_seen, predicted, changed, unsettled, gone)
        return select(history, snapshot.stamp)

    def updated(
        self, snapshot: MapSnapshot, region: Region, asked: Asked, part: Prediction | None
    ) -> Prediction:
        """Remember the prediction of a region, and return that of the whole map.

        Args:
            snapshot: the V voxels of the map.
            region: of :meth:`region`.
            asked: likewise.
            part: the prediction of the core of the region; None where it is empty.
        """
        last, core = self._last, region.core
        state = {name: getattr(snapshot, name) for name in ("points", "colors", "normals")}
        if core is None:
            assert part is not None  # a map that has voxels
            whole, predicted = part, np.full(len(snapshot), snapshot.stamp)
        else:
            assert last is not None  # otherwise the region was the whole map
            own = self._rows(snapshot, last)
            row = _lent(snapshot.keys, own)
            whole = last.prediction.at(snapshot.points, row)
            compared = asked.like is not None or asked.match is not None
            whole = replace(
                whole,
                stamp=snapshot.stamp,
                similarity=whole.similarity if compared else None,
                match=None if asked.match is None else whole.match,
            )
            if part is not None:
                whole = whole.updated(core, part)
            predicted = np.where(row >= 0, last.predicted[row], NEVER)
            predicted[core] = snapshot.stamp
            own[core] = -1
            kept = np.flatnonzero(own >= 0)
            for name, values in state.items():
                state[name] = values.copy()
                state[name][kept] = getattr(last, name)[own[kept]]
        self._last = _Remembered(
            asked=asked,
            prediction=replace(whole, features=None, components=None),
            stamp=snapshot.stamp,
            keys=snapshot.keys,
            predicted=predicted,
            unsettled=region.unsettled,
            **state,
        )
        return whole

    @staticmethod
    def _rows(snapshot: MapSnapshot, last: _Remembered) -> np.ndarray:
        """Return the remembered row of each voxel, (V,); -1: nothing is remembered of it."""
        row = find_keys(last.keys, snapshot.keys)
        # A voxel that entered the map later is another surface, even with the same key.
        return np.where(snapshot.first_seen <= last.stamp, row, -1)


def _lent(keys: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Return the rows (V,) of voxels; those without one take that of a voxel beside them.

    New voxels that are too few for a prediction are the skin of a surface that is known. They
    are predicted when it is.
    """
    lent = row.copy()
    for step in _STEPS:
        new = np.flatnonzero(lent < 0)
        beside = find_keys(keys, keys[new] + step)
        lent[new] = np.where(beside >= 0, row[beside], -1)
    return lent


def _changed(
    snapshot: MapSnapshot, rows: np.ndarray, last: _Remembered, before: np.ndarray
) -> np.ndarray:
    """Return whether the readings of voxels differ from those that were predicted, (n,) bool."""
    moved = np.abs(snapshot.points[rows] - last.points[before])
    colour = np.abs(snapshot.colors[rows] - last.colors[before])
    normal, normal_before = snapshot.normals[rows], last.normals[before]
    cosine = np.einsum("vi,vi->v", normal, normal_before)
    turned = (cosine < TURNED) & (normal.any(axis=1) | normal_before.any(axis=1))
    return (
        (moved > MOVED * snapshot.voxel_size).any(axis=1)
        | (colour > RECOLOURED).any(axis=1)
        | turned
    )

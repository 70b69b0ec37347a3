# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What was predicted of each voxel of the map, and from which readings."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from concerto_ros.heads.similarity import FeatureQuery
from concerto_ros.labels.prediction import Prediction
from concerto_ros.mapping.generation import Generation
from concerto_ros.mapping.map_snapshot import MapSnapshot
from concerto_ros.mapping.voxel_grid import unpack
from concerto_ros.segmentation.regions.selection import NEVER, History, Region, select, whole_map

#: A voxel has changed if the mean point of its readings moved along an axis by more than this,
#: voxels; or its mean colour in a channel, of 255; or its unit normal along an axis.
MOVED, RECOLOURED, TURNED = 0.25, 24.0, 0.4
#: An output that was asked for is computed for so many nanoseconds more.
WANTED = 10_000_000_000


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
        like = asked.like if asked.match is None else None  # a text precedes it
        return cls(labeller, frozenset(outputs), like, asked.match, features)

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
class Due:
    """What is due of V voxels.

    Attributes:
        region: the part of the map to predict.
        row: (V,) the remembered row of each voxel; -1: nothing is remembered of it.
        readings: (9, V) float32, point, colour and normal; a change of more than 1 counts.
        before: (9, V) float32, those that each voxel was predicted from, of any where nothing is
            remembered; None: nothing is remembered of all.
    """

    region: Region
    row: np.ndarray
    readings: np.ndarray
    before: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class _Remembered:
    """The prediction of V voxels, and the readings that it was made from; see :class:`Due`.

    ``floor`` (V,) is the height of the floor that the model counted from for each, metres.
    """

    asked: Asked
    prediction: Prediction
    stamp: int
    state: tuple[Generation, int]
    keys: np.ndarray
    first_seen: np.ndarray
    predicted: np.ndarray
    unsettled: np.ndarray
    readings: np.ndarray
    floor: np.ndarray


class PredictionMemory:
    """Remembers the newest prediction of every voxel, and tells which have to be predicted anew.

    The voxels of the newest map are kept: one that leaves the map and comes back later starts
    from scratch, as in the label fusion.
    """

    def __init__(self) -> None:
        self._last: _Remembered | None = None
        self._wanted: dict[str, int] = {}

    def asked(
        self,
        labeller: object,
        outputs: Collection[str],
        question: FeatureQuery | None,
        stamp: int,
    ) -> Asked:
        """Return what to compute: what is asked for, and remembered outputs asked for lately.

        Outputs that take turns would otherwise forget each other.

        Args:
            labeller: as in :class:`Asked`.
            outputs: what is asked for now.
            question: what else is computed for each voxel.
            stamp: nanoseconds, of the map.
        """
        asked, last = Asked.of(labeller, outputs, question), self._last
        self._wanted |= dict.fromkeys(outputs, stamp)
        if last is None or last.asked.labeller is not labeller:
            return asked
        lately = {name for name, then in self._wanted.items() if stamp - then < WANTED}
        return replace(asked, outputs=asked.outputs | (last.asked.outputs & lately))

    def due(self, snapshot: MapSnapshot, asked: Asked) -> Due:
        """Return what to predict.

        Args:
            snapshot: the V voxels of the map.
            asked: of :meth:`asked`.
        """
        last, readings = self._last, _readings(snapshot)
        later = last is not None and len(snapshot) > 0 and snapshot.stamp >= last.stamp
        if last is None or not later or not asked.answered_by(last.asked):
            return Due(whole_map(len(snapshot)), np.full(len(snapshot), -1), readings)
        row = snapshot.rows_in(last.keys, last.first_seen)
        known, earlier = row >= 0, np.maximum(row, 0)
        before = last.readings.take(earlier, axis=1)
        changed = np.zeros(len(snapshot), bool)
        for now, then in zip(readings, before, strict=True):
            changed |= np.abs(now - then) > 1
        stayed = np.zeros(len(last.keys), bool)
        stayed[row[known]] = True
        history = History(
            index=snapshot.index,
            first_seen=snapshot.first_seen,
            predicted=np.where(known, last.predicted[earlier], NEVER),
            changed=known & changed,
            unsettled=known & last.unsettled[earlier],
            gone=unpack(last.keys[~stayed]),
        )
        # Where no newer map came, none may ever come. Where only its stamp stands still (messages
        # without stamps, a paused clock), what waits has no turn.
        stands_still = snapshot.stamp == last.stamp and last.prediction.waiting is not None
        newest = stands_still or _state(snapshot) == last.state
        region = select(history, snapshot.stamp, last=newest)
        return Due(region, row, readings, before)

    def updated(
        self, snapshot: MapSnapshot, due: Due, asked: Asked, part: Prediction | None
    ) -> Prediction:
        """Remember the prediction of a region, and return that of the whole map.

        Args:
            snapshot: the V voxels of the map.
            due: of :meth:`due`.
            asked: of :meth:`asked`.
            part: the prediction of the core of the region; None where it is empty.
        """
        last, core, readings = self._last, due.region.core, due.readings
        if core is None or last is None or due.before is None:
            assert part is not None  # a map that has voxels
            whole, predicted = part, np.full(len(snapshot), snapshot.stamp)
            floor = np.full(len(snapshot), whole.floor_height)
        else:
            # A new voxel has no label until it is predicted: its neighbour's would be a guess.
            row = due.row
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
            floor = last.floor[row]
            floor[core] = whole.floor_height
            renewed = due.row < 0
            renewed[core] = True
            readings = np.where(renewed, due.readings, due.before)
        unusable = np.zeros(len(snapshot), bool) if whole.unusable is None else whole.unusable
        waiting = (predicted == NEVER) & ~unusable
        predicted[unusable] = NEVER  # output that is not finite is no prediction
        # The floor is held, and moves by metres where it is found elsewhere; NaN: it is not known.
        moved = np.abs(floor - whole.floor_height) > 0
        whole = replace(whole, waiting=waiting if waiting.any() else None)
        self._last = _Remembered(
            asked=asked,
            prediction=_copied(replace(whole, features=None, components=None)),
            stamp=snapshot.stamp,
            state=_state(snapshot),
            keys=snapshot.keys,
            first_seen=snapshot.first_seen,
            predicted=predicted,
            unsettled=due.region.unsettled | moved,
            readings=readings,
            floor=floor,
        )
        return whole


def _state(snapshot: MapSnapshot) -> tuple[Generation, int]:
    """Return what is equal for equal maps."""
    return snapshot.generation, snapshot.revision


def _copied(prediction: Prediction) -> Prediction:
    """Return a copy of a prediction that whoever changes the arrays of it does not change."""
    copies: dict[str, Any] = {
        name: value.copy()
        for name, value in vars(prediction).items()
        if isinstance(value, np.ndarray)
    }
    return replace(prediction, **copies)


def _readings(snapshot: MapSnapshot) -> np.ndarray:
    parts = (
        (snapshot.points, MOVED * snapshot.voxel_size),
        (snapshot.colors, RECOLOURED),
        (snapshot.normals, TURNED),
    )
    readings = np.empty((9, len(snapshot)), np.float32)  # by column: faster than by rows
    for number, (values, much) in enumerate(parts):
        np.multiply(values.T, np.float32(1 / much), out=readings[3 * number : 3 * number + 3])
    return readings

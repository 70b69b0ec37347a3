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
from concerto_ros.mapping.map_snapshot import MapSnapshot
from concerto_ros.mapping.members import Changes, Members
from concerto_ros.mapping.voxel_grid import unpack
from concerto_ros.segmentation.regions.selection import NEVER, History, Region, select, whole_map

#: A voxel has changed if the mean point of its readings moved along an axis by more than this,
#: voxels; or its mean colour in a channel, of 255; or its unit normal along an axis.
MOVED, RECOLOURED, TURNED = 0.25, 24.0, 0.4
#: An output that was asked for is computed for so many nanoseconds more.
WANTED = 10_000_000_000
#: The masks of a prediction, which mostly are false everywhere.
_MASKS = ("unusable", "below_floor", "unfamiliar", "no_word")


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
        changes: of the map since the last prediction; None: nothing is remembered of it.
        predicted: (V,) int64, nanoseconds, the stamp of the last prediction of each voxel.
        changed: (V,) bool, whether the readings of each changed since then.
    """

    region: Region
    changes: Changes | None
    predicted: np.ndarray
    changed: np.ndarray

    @classmethod
    def all_of(cls, size: int) -> Due:
        """Return that all of ``size`` voxels is due."""
        return cls(whole_map(size), None, np.full(size, NEVER), np.zeros(size, bool))


@dataclass(frozen=True, eq=False)
class _Remembered:
    """What was predicted of voxels, and from what, by their slots in the map.

    Attributes:
        asked: what was computed.
        stamp: nanoseconds, of the map.
        members: the voxels of the map.
        waits: whether any of them waits for its first prediction.
        masks: the names of the masks that a prediction has, also where they are nowhere true.
        prediction: by slot, as all that follows; without points.
        predicted: (S,) int64, nanoseconds, when that was.
        unsettled: (S,) bool, as in :class:`History`.
        changed: (S,) bool, likewise.
        readings: (S, 9) float32, those that each voxel was predicted from, or entered with; see
            :func:`_readings`.
        floor: (S,) float64, the height of the floor that the model counted from, metres.
    """

    asked: Asked
    stamp: int
    members: Members
    waits: bool
    masks: frozenset[str]
    prediction: Prediction
    predicted: np.ndarray
    unsettled: np.ndarray
    changed: np.ndarray
    readings: np.ndarray
    floor: np.ndarray

    @classmethod
    def nothing(cls, asked: Asked, members: Members, like: Prediction) -> _Remembered:
        """Return that nothing is known of voxels, with the fields of a prediction."""
        room = members.room
        return cls(
            asked=asked,
            stamp=0,
            members=members,
            waits=False,
            masks=frozenset(),
            prediction=_kept(like, asked).at(like.points[:0], np.full(room, -1)),
            predicted=np.full(room, NEVER),
            unsettled=np.zeros(room, bool),
            changed=np.zeros(room, bool),
            readings=np.zeros((room, 9), np.float32),
            floor=np.full(room, np.nan),
        )

    def with_room(self, room: int) -> _Remembered:
        """Return the same with at least so many slots."""
        size = len(self.predicted)
        if room <= size:
            return self
        row = np.minimum(np.arange(room + room // 4), size)
        row[size:] = -1
        arrays: dict[str, Any] = {
            name: getattr(self, name).take(row, axis=0)
            for name in ("predicted", "unsettled", "changed", "readings", "floor")
        }
        return replace(self, prediction=self.prediction.at(self.prediction.points, row), **arrays)


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
        last = self._last
        changes = None if last is None else snapshot.members.since(last.members)
        if last is None or changes is None or not len(snapshot) or snapshot.stamp < last.stamp:
            return Due.all_of(len(snapshot))
        if not asked.answered_by(last.asked):
            return Due.all_of(len(snapshot))
        slots, seen = snapshot.members.slots, changes.seen
        predicted, unsettled, changed = (
            values.take(slots, mode="clip")  # those that entered may have slots beyond
            for values in (last.predicted, last.unsettled, last.changed)
        )
        before = last.readings.take(slots[seen], axis=0, mode="clip")
        differs = np.zeros(len(seen), bool)
        for now, then in zip(_readings(snapshot, seen).T, before.T, strict=True):
            differs |= np.abs(now - then) > 1
        changed[seen] = differs
        predicted[changes.entered] = NEVER
        changed[changes.entered] = unsettled[changes.entered] = False
        history = History(
            cells=snapshot.cells,
            first_seen=snapshot.first_seen,
            predicted=predicted,
            changed=changed,
            unsettled=unsettled,
            gone=unpack(changes.gone),
        )
        # Where no newer map came, none may ever come. Where only its stamp stands still (messages
        # without stamps, a paused clock), what waits has no turn.
        stands_still = snapshot.stamp == last.stamp and last.waits
        newest = stands_still or snapshot.revision == last.members.revision
        region = select(history, snapshot.stamp, last=newest)
        return Due(region, changes, predicted, changed)

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
        members, core, changes = snapshot.members, due.region.core, due.changes
        slots = members.slots
        if core is None or changes is None or self._last is None:
            assert part is not None  # a map that has voxels
            whole, core, entered = part, np.arange(len(snapshot)), np.zeros(0, np.int64)
            last = _Remembered.nothing(asked, members, part)
            by_slot = last.prediction.updated(slots, _kept(part, asked))
        else:
            last, entered = self._last.with_room(members.room), changes.entered
            # A new voxel has no label until it is predicted: its neighbour's would be a guess.
            unknown = last.prediction.at(snapshot.points[entered], np.full(len(entered), -1))
            compared = asked.like is not None or asked.match is not None
            by_slot = replace(
                last.prediction.updated(slots[entered], unknown),
                stamp=snapshot.stamp,
                similarity=last.prediction.similarity if compared else None,
                match=None if asked.match is None else last.prediction.match,
            )
            by_slot = _kept(by_slot, asked)
            if part is not None:
                by_slot = by_slot.updated(slots[core], _kept(part, asked))
            whole = by_slot.at(snapshot.points, slots)
        masks = last.masks | {name for name in _MASKS if getattr(part, name, None) is not None}
        whole = _filled(whole, masks)
        unusable = np.zeros(len(snapshot), bool) if whole.unusable is None else whole.unusable
        predicted = due.predicted.copy()
        predicted[core] = snapshot.stamp
        waiting = (predicted == NEVER) & ~unusable
        predicted[unusable] = NEVER  # output that is not finite is no prediction
        whole = replace(whole, waiting=waiting if waiting.any() else None)
        # Of voxels that were not predicted, only those that entered or were seen are others.
        floor, when, changed = (v.copy() for v in (last.floor, last.predicted, last.changed))
        floor[slots[entered]] = np.nan
        floor[slots[core]] = whole.floor_height
        when[slots[entered]] = NEVER
        when[slots[core]] = predicted[core]
        if changes is not None:
            changed[slots[changes.seen]] = due.changed[changes.seen]
        changed[slots[core]] = False
        unsettled = np.zeros(len(floor), bool)
        unsettled[slots] = due.region.unsettled
        # The floor is held, and moves by metres where it is found elsewhere; NaN: it is not known.
        unsettled |= np.abs(floor - whole.floor_height) > 0
        for rows in (entered, core):
            last.readings[slots[rows]] = _readings(snapshot, rows)
        self._last = _Remembered(
            asked=asked,
            stamp=snapshot.stamp,
            members=members,
            waits=whole.waiting is not None,
            masks=masks,
            prediction=by_slot,
            predicted=when,
            unsettled=unsettled,
            changed=changed,
            readings=last.readings,
            floor=floor,
        )
        return whole


def _kept(prediction: Prediction, asked: Asked) -> Prediction:
    """Return what is remembered of a prediction, without colours that nobody asked for."""
    kept: dict[str, Any] = dict(features=None, components=None)
    if "pca" not in asked.outputs:
        kept["pca_rgb"] = prediction.pca_rgb[:, :0]
    for name in _MASKS:
        mask = getattr(prediction, name)
        kept[name] = None if mask is None or not mask.any() else mask
    return replace(prediction, **kept)


def _filled(prediction: Prediction, masks: frozenset[str]) -> Prediction:
    """Return a prediction with the colours and masks that :func:`_kept` left out."""
    size = len(prediction.label)
    missing: dict[str, Any] = {
        name: np.zeros(size, bool) for name in masks if getattr(prediction, name) is None
    }
    if not prediction.pca_rgb.size:
        missing["pca_rgb"] = np.zeros((size, 3), np.uint8)
    return replace(prediction, **missing)


def _readings(snapshot: MapSnapshot, rows: np.ndarray) -> np.ndarray:
    """Return point, colour and normal of some voxels, (n, 9) float32; a change of 1 counts."""
    parts = (
        (snapshot.points, MOVED * snapshot.voxel_size),
        (snapshot.colors, RECOLOURED),
        (snapshot.normals, TURNED),
    )
    readings = np.empty((len(rows), 9), np.float32)
    for number, (values, much) in enumerate(parts):
        columns = slice(3 * number, 3 * number + 3)
        np.multiply(values.take(rows, axis=0), np.float32(1 / much), out=readings[:, columns])
    return readings

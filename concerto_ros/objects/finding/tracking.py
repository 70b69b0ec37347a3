# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Track ids: the same object keeps the same number from cloud to cloud."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from concerto_ros.mapping.voxel_grid import find_keys, pack
from concerto_ros.objects.finding.boxes import OrientedBox
from concerto_ros.objects.finding.instances import Instance


@dataclass(frozen=True, eq=False)
class Track:
    """An object with a persistent id.

    Attributes:
        id: 1 or more.
        instance: The object as last seen.
        keys: Packed lattice indices of its voxels then, ascending.
        first_seen: Stamp, nanoseconds.
        last_seen: Likewise.
    """

    id: int
    instance: Instance
    keys: np.ndarray
    first_seen: int
    last_seen: int


class Tracker:
    """Assigns each object of a cloud the track it had before, or a new one.

    An object is the one with which it shares the most voxels (intersection over union); without
    one, the nearest that is not farther than its own longest side. Ids are never reused.

    Args:
        memory_seconds: Objects that are not seen for this long, by stamps, are forgotten; where
            stamps jump back, all are.
    """

    def __init__(self, memory_seconds: float):
        self._memory = round(memory_seconds * 1e9)
        self._next = 1
        self._tracks: list[Track] = []
        self._stamp = 0

    def forget(self) -> None:
        """Forget all objects; their ids are not used again."""
        self._tracks = []

    def update(self, instances: Sequence[Instance], index: np.ndarray, stamp: int) -> list[Track]:
        """Return the track of each instance, in their order.

        Args:
            instances: The objects of a cloud.
            index: (V, 3) lattice indices of that cloud, of the same lattice in every call.
            stamp: Of the cloud, nanoseconds.
        """
        if stamp < self._stamp:
            self._tracks = []
        self._stamp = stamp
        known = [track for track in self._tracks if stamp - track.last_seen <= self._memory]
        keys = [np.sort(pack(index[instance.rows])) for instance in instances]
        same = _match(_shared_voxels(keys, known), {})
        same = _match(_nearness(instances, known), same)
        tracks = []
        for number, instance in enumerate(instances):
            if number in same:
                before = known[same[number]]
                track = replace(before, instance=instance, keys=keys[number], last_seen=stamp)
            else:
                track = Track(self._next, instance, keys[number], stamp, stamp)
                self._next += 1
            tracks.append(track)
        unseen = set(range(len(known))) - set(same.values())
        self._tracks = tracks + [known[number] for number in sorted(unseen)]
        return tracks

    def state(self) -> dict[str, torch.Tensor]:
        """Return what the next cloud is compared with, for :meth:`restore`."""
        tracks = self._tracks
        boxes = [track.instance.box for track in tracks]
        keys = [np.zeros(0, np.int64), *(track.keys for track in tracks)]
        numbers = [(t.id, len(t.keys), t.first_seen, t.last_seen) for t in tracks]
        places = [
            (*t.instance.centroid, *b.center, *b.size, b.yaw)
            for t, b in zip(tracks, boxes, strict=True)
        ]
        return {
            "clock": torch.tensor([self._next, self._stamp]),
            "keys": torch.from_numpy(np.concatenate(keys)),
            "numbers": torch.tensor(numbers, dtype=torch.int64).reshape(-1, 4),
            "places": torch.tensor(places, dtype=torch.float64).reshape(-1, 10),
            "on_surface": torch.tensor([t.instance.on_surface for t in tracks], dtype=torch.bool),
        }

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """Continue from a :meth:`state`; from an empty one without tracks, counting from 1."""
        self._next, self._stamp, self._tracks = 1, 0, []
        if not state:
            return
        self._next, self._stamp = state["clock"].tolist()
        values = [state[name].numpy() for name in ("keys", "numbers", "places", "on_surface")]
        keys, numbers, places, on_surface = values
        begin = 0
        for (number, size, first, last), place, above in zip(
            numbers.tolist(), places, on_surface.tolist(), strict=True
        ):
            box = OrientedBox(place[3:6], place[6:9], float(place[9]))
            instance = Instance(np.zeros(0, np.int64), (), place[:3], box, above)
            own = keys[begin : begin + size]
            self._tracks.append(Track(number, instance, own, first, last))
            begin += size


def _match(scores: np.ndarray, matched: dict[int, int]) -> dict[int, int]:
    """Assign instances to tracks by (I, T) ``scores``, highest first, 0 never.

    Pairs in ``matched`` are kept.
    """
    same = dict(matched)
    used = set(same.values())
    rows, columns = np.nonzero(scores)
    for pair in np.argsort(-scores[rows, columns], kind="stable"):
        instance, track = int(rows[pair]), int(columns[pair])
        if instance not in same and track not in used:
            same[instance] = track
            used.add(track)
    return same


def _shared_voxels(keys: Sequence[np.ndarray], tracks: Sequence[Track]) -> np.ndarray:
    """Compute (I, T) intersection over union of voxels; a voxel is in at most one of ``keys``."""
    shared = np.zeros((len(keys), len(tracks)))
    if not shared.size:
        return shared
    sizes = np.array([len(own) for own in keys])
    joined = np.concatenate(keys)
    order = np.argsort(joined)
    joined, owner = joined[order], np.repeat(np.arange(len(keys)), sizes)[order]
    for column, track in enumerate(tracks):
        row = find_keys(joined, track.keys)
        common = np.bincount(owner[row[row >= 0]], minlength=len(keys))
        shared[:, column] = common / (sizes + len(track.keys) - common)
    return shared


def _nearness(instances: Sequence[Instance], tracks: Sequence[Track]) -> np.ndarray:
    """Compute (I, T) scores: closer to 1 the nearer the centroids, 0 beyond the track's size."""
    if not instances or not tracks:
        return np.zeros((len(instances), len(tracks)))
    centroids = np.array([instance.centroid for instance in instances])
    earlier = np.array([track.instance.centroid for track in tracks])
    longest_side = np.array([track.instance.box.size.max() for track in tracks])
    distance = np.linalg.norm(centroids[:, None] - earlier, axis=2)
    return np.where(distance <= longest_side, 1 / (1 + distance), 0.0)

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which object each voxel of a map belongs to, by a search that may be older than the map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from concerto_ros.mapping.map_snapshot import MapSnapshot
from concerto_ros.mapping.voxel_grid import pack
from concerto_ros.objects.finding.instances import LabelledCloud
from concerto_ros.objects.finding.tracking import Track


@dataclass(frozen=True, eq=False)
class ObjectVoxels:
    """The voxels of the objects that a search found.

    Attributes:
        keys: (n,) int64, packed lattice indices, ascending.
        first_seen: (n,) int64, nanoseconds, when each was first seen.
        ids: (n,) uint32, the id of the track of each.
        labels: (n,) uint8, its label in the search.
        stamp: of the map that was searched, nanoseconds.
    """

    keys: np.ndarray
    first_seen: np.ndarray
    ids: np.ndarray
    labels: np.ndarray
    stamp: int

    @classmethod
    def of(cls, tracks: Sequence[Track], cloud: LabelledCloud) -> ObjectVoxels:
        """Collect the voxels of the tracks of the instances of a cloud."""
        rows = np.concatenate([np.zeros(0, np.int64), *(track.instance.rows for track in tracks)])
        sizes = [len(track.instance.rows) for track in tracks]
        ids = np.repeat(np.array([track.id for track in tracks], np.uint32), sizes)
        keys = pack(cloud.index[rows])
        order = np.argsort(keys)
        seen = (
            np.zeros(len(cloud.index), np.int64) if cloud.first_seen is None else cloud.first_seen
        )
        rows = rows[order]
        return cls(keys[order], seen[rows], ids[order], cloud.label[rows], cloud.stamp)

    def ids_in(self, snapshot: MapSnapshot, label: np.ndarray, max_age: float) -> np.ndarray:
        """Return the id of the object of each voxel of the same or a newer map.

        An id is given only where it is current: the search is not older than ``max_age``, the
        voxel was part of an object in it, has been in the map ever since, and has the same label.

        Args:
            snapshot: V voxels, of the generation of the map that was searched.
            label: (V,) uint8, their labels now.
            max_age: seconds.

        Returns:
            (V,) uint32; 0: none.
        """
        ids = np.zeros(len(snapshot), np.uint32)
        if not 0 <= snapshot.stamp - self.stamp <= 1e9 * max_age:
            return ids
        rows = snapshot.rows_in(self.keys, self.first_seen)
        own = np.flatnonzero(rows >= 0)
        own = own[self.labels[rows[own]] == label[own]]
        ids[own] = self.ids[rows[own]]
        return ids

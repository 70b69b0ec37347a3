# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a text matches, as objects: with the tracks of those that are known as objects already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from concerto_ros.mapping.map_snapshot import MapSnapshot
from concerto_ros.mapping.voxel_grid import find_keys
from concerto_ros.objects.finding.finder import FoundObject
from concerto_ros.objects.finding.instances import Instance
from concerto_ros.objects.finding.text_matches import TextMatch, TextMatches
from concerto_ros.objects.finding.tracking import Track

#: A match is the known object with which it shares this much, as intersection over union.
SAME = 0.25

#: The id of a match that is no known object.
NO_TRACK = 0


def matched_objects(
    found: TextMatches, snapshot: MapSnapshot, known: Sequence[FoundObject]
) -> list[FoundObject]:
    """Convert what a text matches to objects.

    Args:
        found: The answer to the text, best match first.
        snapshot: The map that was asked about.
        known: The objects of the newest search in the same map.

    Returns:
        An object for each match, in the same order. Its first hypothesis is the text with its
        score, the others are those of the known object that it is.
    """
    return [_object_of(found.text, match, snapshot, known) for match in found.matches]


def _object_of(
    text: str, match: TextMatch, snapshot: MapSnapshot, known: Sequence[FoundObject]
) -> FoundObject:
    keys = snapshot.keys[match.rows]
    stamp = snapshot.stamp
    same = max(known, key=lambda each: _shared(keys, each.track.keys), default=None)
    if same is None or _shared(keys, same.track.keys) < SAME:
        instance = Instance(match.rows, (), match.centroid, match.box, on_surface=False)
        track = Track(NO_TRACK, instance, keys, first_seen=stamp, last_seen=stamp)
        return FoundObject(track, ((text, match.score),), None)
    on_surface = same.track.instance.on_surface
    instance = Instance(match.rows, (), match.centroid, match.box, on_surface)
    track = Track(same.track.id, instance, keys, same.track.first_seen, same.track.last_seen)
    return replace(same, track=track, hypotheses=((text, match.score), *same.hypotheses))


def _shared(keys: np.ndarray, others: np.ndarray) -> float:
    """Intersection over union of two sets of ascending keys of voxels."""
    common = int(np.count_nonzero(find_keys(others, keys) >= 0))
    return common / (len(keys) + len(others) - common)

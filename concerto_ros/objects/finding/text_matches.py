# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Where in a cloud a text is found: connected voxels that it matches."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from concerto_ros.labels.label_set import UNLABELLED
from concerto_ros.labels.prediction import Prediction
from concerto_ros.objects.finding.boxes import OrientedBox
from concerto_ros.objects.finding.class_roles import ClassRoles
from concerto_ros.objects.finding.components import connected_components, neighbour_pairs
from concerto_ros.objects.finding.instances import LabelledCloud, find_instances

#: The matching voxels are the only class, and what touches is one object.
_ROLES = ClassRoles(
    things=frozenset({0}), supports=frozenset(), background=frozenset({UNLABELLED})
)


#: Share of the best probability of touching voxels that the voxels of a match have at least: what
#: surrounds a kettle is a little like one, too.
OUTSTANDING = 0.5
#: Share of the score of the best match that every other one has at least, so that a door does not
#: come with each scrap of wall that is a little like one.
COMPARABLE = 0.25


@dataclass(frozen=True, eq=False)
class TextMatch:
    """One place that a text matches.

    Attributes:
        rows: (n,) int64, ascending rows of the voxels or points.
        score: probability of the text of its best voxel, in (0, 1].
        centroid: (3,) float64, metres, mean of its voxels.
        box: bounding box of its voxels.
    """

    rows: np.ndarray
    score: float
    centroid: np.ndarray
    box: OrientedBox


@dataclass(frozen=True, eq=False)
class TextMatches:
    """The answer to a text.

    Attributes:
        text: as it was asked.
        matches: best first; empty: not found.
        prediction: of all points, with ``similarity`` and ``match``.
    """

    text: str
    matches: tuple[TextMatch, ...]
    prediction: Prediction

    def at(self, prediction: Prediction, row: np.ndarray) -> TextMatches:
        """Return the same for the points of ``prediction``, of which ``row`` (N,) is the voxel."""
        rows = [np.flatnonzero(np.isin(row, match.rows)) for match in self.matches]
        matches = [replace(m, rows=own) for m, own in zip(self.matches, rows, strict=True)]
        return TextMatches(self.text, tuple(matches), prediction)


def outstanding(match: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Return which voxels are not much worse than the best one that they are connected with.

    Args:
        match: (V,) probability of the text, 0 where it is not high enough.
        pairs: (P, 2) rows of voxels that touch.

    Returns:
        (V,) bool.
    """
    inside = match > 0
    group = connected_components(len(match), pairs[inside[pairs].all(axis=1)])
    best = np.zeros(len(match), match.dtype)
    np.maximum.at(best, group, match)
    return inside & (match >= OUTSTANDING * best[group])


def find_matches(
    text: str,
    prediction: Prediction,
    index: np.ndarray,
    points: np.ndarray,
    voxel_size: float,
    min_voxels: int,
) -> TextMatches:
    """Divide the voxels that a text matches into objects.

    Args:
        text: what was asked.
        prediction: the answer for the V voxels, with ``match``.
        index: (V, 3) lattice indices.
        points: (V, 3) metres, where they are, z up.
        voxel_size: metres.
        min_voxels: fewest voxels of an object.

    Raises:
        ValueError: the prediction has no ``match``: its query had no text.
    """
    if prediction.match is None:
        raise ValueError("prediction: got one without match, expected the answer to a text")
    match = np.nan_to_num(prediction.match)
    label = np.full(len(match), UNLABELLED, np.uint8)
    rows = np.flatnonzero(match > 0)
    label[rows[outstanding(match[rows], neighbour_pairs(index[rows]))]] = 0
    cloud = LabelledCloud(index, points, label, match, voxel_size)
    found = [
        TextMatch(each.rows, float(match[each.rows].max()), each.centroid, each.box)
        for each in find_instances(cloud, _ROLES, min_voxels)
    ]
    found.sort(key=lambda each: -each.score)
    found = [each for each in found if each.score >= COMPARABLE * found[0].score]
    return TextMatches(text, tuple(found), prediction)

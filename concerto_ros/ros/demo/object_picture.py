# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Objects in the demo's picture: the edges of their boxes as points, their names as a legend."""

from __future__ import annotations

from operator import attrgetter

import numpy as np

from concerto_ros.msg import SemanticObject, SemanticObjectArray
from concerto_ros.objects.finding.boxes import EDGES
from concerto_ros.ros.outputs.object_messages import color_of


def paler(rgb: np.ndarray) -> np.ndarray:
    """(N, 3) uint8 colours before which those of boxes stand out."""
    return (rgb // 2 + 120).astype(np.uint8)


def box_edges(objects: SemanticObjectArray, spacing: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each box, points (M, 3) float32 along its edges, ``spacing`` metres apart, and (M, 3)
    colours."""
    drawn = []
    for found in objects.objects:
        edges = _edges(found, spacing).astype(np.float32)
        drawn.append((edges, np.broadcast_to(color_of(found.id), edges.shape).astype(np.uint8)))
    return drawn


def object_legend(
    objects: SemanticObjectArray, count: int
) -> list[tuple[str, tuple[int, int, int]]]:
    """What the ``count`` objects of most points are, each in the colour of its box."""
    largest = sorted(objects.objects, key=attrgetter("point_count"), reverse=True)[:count]
    return [(_title(found), tuple(color_of(found.id).tolist())) for found in largest]


def _title(found: SemanticObject) -> str:
    if not found.hypotheses:
        return f"#{found.id}"
    best = found.hypotheses[0]
    return f"{best.class_name} {best.score:.0%}"


def _edges(found: SemanticObject, spacing: float) -> np.ndarray:
    """(M, 3) points along the edges of an object's box."""
    place, turn, size = found.box_center.position, found.box_center.orientation, found.box_size
    yaw = 2 * np.arctan2(turn.z, turn.w)
    c, s = np.cos(yaw), np.sin(yaw)
    rotation = np.array([(c, -s, 0), (s, c, 0), (0, 0, 1)])
    extent = np.array([size.x, size.y, size.z])
    lines = []
    for start, end in EDGES:
        steps = max(2, int(np.linalg.norm((end - start) * extent) / spacing) + 1)
        along = np.linspace(0, 1, steps)[:, None]
        lines.append((start + along * (end - start)) * extent)
    return np.concatenate(lines) @ rotation.T + [place.x, place.y, place.z]

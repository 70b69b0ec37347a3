# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Objects in the demo's picture: the edges of their boxes as points, their names as a legend."""

from __future__ import annotations

import numpy as np

from concerto_ros.msg import SemanticObject, SemanticObjectArray
from concerto_ros.objects.boxes import EDGES
from concerto_ros.ros.object_messages import color_of


def draw_boxes(
    objects: SemanticObjectArray, points: np.ndarray, rgb: np.ndarray, spacing: float
) -> tuple[np.ndarray, np.ndarray]:
    """Paler colours (N, 3) for the cloud (N, 3), and the edges of all boxes added to both.

    ``spacing``: metres between the points of an edge.
    """
    parts, colors = [points], [(rgb // 2 + 120).astype(np.uint8)]
    for found in objects.objects:
        edges = _edges(found, spacing)
        parts.append(edges)
        colors.append(np.broadcast_to(color_of(found.id), edges.shape).astype(np.uint8))
    return np.concatenate(parts).astype(np.float32), np.concatenate(colors)


def object_legend(
    objects: SemanticObjectArray, count: int
) -> list[tuple[str, tuple[int, int, int]]]:
    """What the ``count`` objects of most points are, each in the colour of its box."""
    largest = sorted(objects.objects, key=lambda found: -found.point_count)[:count]
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

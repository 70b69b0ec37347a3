# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Objects in the demo's picture: box edges as points, and a legend with their names."""

from __future__ import annotations

from operator import attrgetter

import numpy as np

from concerto_ros.labels.track_colors import color_of
from concerto_ros.msg import SemanticObject, SemanticObjectArray
from concerto_ros.objects.finding.boxes import EDGES


def paler(rgb: np.ndarray) -> np.ndarray:
    """Lighten (N, 3) uint8 colours, so that the colours of boxes stand out."""
    return (rgb // 2 + 120).astype(np.uint8)


def box_edges(objects: SemanticObjectArray, spacing: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """Points along the edges of each box.

    Args:
        objects: The objects.
        spacing: Distance of the points, metres.

    Returns:
        For each object (M, 3) float32 points and (M, 3) uint8 colours.
    """
    drawn = []
    for found in objects.objects:
        edges = _edges(found, spacing).astype(np.float32)
        drawn.append((edges, np.broadcast_to(color_of(found.id), edges.shape).astype(np.uint8)))
    return drawn


def object_legend(
    objects: SemanticObjectArray, count: int
) -> list[tuple[str, tuple[int, int, int]]]:
    """Name and box colour of the ``count`` objects with the most points."""
    largest = sorted(objects.objects, key=attrgetter("point_count"), reverse=True)[:count]
    return [(_title(found), tuple(color_of(found.id).tolist())) for found in largest]


def _title(found: SemanticObject) -> str:
    if not found.hypotheses:
        return f"#{found.id}"
    best = found.hypotheses[0]
    return f"{best.class_name} {best.score:.0%}"


def _edges(found: SemanticObject, spacing: float) -> np.ndarray:
    """(M, 3) points along the edges of an object's box."""
    pose, size = found.box_center, found.box_size
    yaw = 2 * np.arctan2(pose.orientation.z, pose.orientation.w)
    c, s = np.cos(yaw), np.sin(yaw)
    rotation = np.array([(c, -s, 0), (s, c, 0), (0, 0, 1)])
    extent = np.array([size.x, size.y, size.z])
    lines = []
    for start, end in EDGES:
        steps = max(2, int(np.linalg.norm((end - start) * extent) / spacing) + 1)
        along = np.linspace(0, 1, steps)[:, None]
        lines.append((start + along * (end - start)) * extent)
    return np.concatenate(lines) @ rotation.T + [pose.position.x, pose.position.y, pose.position.z]

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Labelled blocks of voxels, a table among them, in which objects are found."""

from __future__ import annotations

import numpy as np

from concerto_ros.labels.label_set import LabelSet
from concerto_ros.objects.finding.class_roles import ClassRoles
from concerto_ros.objects.finding.instances import LabelledCloud

LABELS = LabelSet.load("demo")
ID = {entry.name: entry.id for entry in LABELS.classes}
ROLES = ClassRoles.of(LABELS)
SIZE = 0.02


def block(low, high, label: str | int) -> tuple[np.ndarray, np.ndarray]:
    """Indices and labels of the voxels on the sides of a box, ``high`` not included."""
    low, high = np.array(low), np.array(high)
    index = np.stack(np.meshgrid(*map(np.arange, low, high), indexing="ij"), -1).reshape(-1, 3)
    side = ((index == low) | (index == high - 1)).any(axis=1)
    index = index[side]
    return index, np.full(len(index), ID.get(label, label), np.uint8)


def cloud(*blocks, confidence: float = 0.8) -> LabelledCloud:
    """The blocks, earlier ones first where they meet, in the order of a map."""
    index, label = (np.concatenate(part) for part in zip(*blocks, strict=True))
    index, first = np.unique(index, axis=0, return_index=True)
    return LabelledCloud(
        index=index.astype(np.int32),
        points=((index + 0.5) * SIZE).astype(np.float32),
        label=label[first],
        confidence=np.full(len(index), confidence, np.float32),
        voxel_size=SIZE,
    )


#: 1.2 x 0.8 m and 0.74 m high; the rows of its top have z index 36.
TABLE = (block((0, 0, 35), (60, 40, 37), "table"), block((2, 2, 0), (4, 4, 35), "table"))

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Two boxes on a table before the real node, and the objects that it finds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from node_harness import ONE_CLOUD, START, cloud_message, stamp_of

from concerto_ros.labels.label_set import LabelSet
from concerto_ros.msg import SemanticObjectArray
from concerto_ros.ros.outputs.messages import make_header

ID = {entry.name: entry.id for entry in LabelSet.load("demo").classes}
OBJECTS = "/concerto/objects"

PARAMETERS = ONE_CLOUD | {"voxel_size": 0.04, "objects.rate": 100.0}
#: A table is no object here.
BOXES = PARAMETERS | {"objects.classes": ["other"]}


def block(low, high) -> np.ndarray:
    """(N, 3) points on the sides of a box, one in every voxel they pass."""
    low, high = np.round(np.array([low, high]) / 0.04).astype(int)
    index = np.stack(np.meshgrid(*map(np.arange, low, high), indexing="ij"), -1).reshape(-1, 3)
    index = index[((index == low) | (index == high - 1)).any(axis=1)]
    return ((index + 0.5) * 0.04).astype(np.float32)


TABLE_TOP = 0.76
FIRST = block((1.4, 0.2, TABLE_TOP), (1.64, 0.44, 1.0))
SECOND_BOX = block((2.0, 0.2, TABLE_TOP), (2.4, 0.44, 0.92))
SCENE = np.concatenate([block((1.2, 0.0, 0.72), (2.8, 0.8, TABLE_TOP)), FIRST, SECOND_BOX])


def label_by_height(one) -> None:
    """The model's labels give way to known ones: table, and other for what lies above it."""
    infer = one.node._configured.pipeline.infer

    def known(snapshot, outputs, question=None):
        prediction = infer(snapshot, outputs, question)
        above = snapshot.points[:, 2] > TABLE_TOP
        label = np.where(above, ID["other"], ID["table"]).astype(np.uint8)
        return replace(prediction, label=label, confidence=np.full(len(label), 0.5, np.float32))

    one.node._configured.pipeline.infer = known


def objects_of(one, stamp: int = START, points=SCENE) -> SemanticObjectArray:
    """The objects in the map after a cloud with this stamp."""
    one.send(cloud_message(make_header("odom", stamp), points))
    return one.wait(
        lambda: next((m for m in one.received[OBJECTS][::-1] if stamp_of(m) == stamp), None),
        f"objects of {stamp}",
    )

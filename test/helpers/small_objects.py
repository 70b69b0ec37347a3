# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Objects that are easy to tell apart, and encoders small enough to train in a test."""

from __future__ import annotations

import numpy as np
import torch

from concerto_ros.learning.objects.data.object_set import ObjectSet
from concerto_ros.objects.encoders.recon.encoder import ReCon
from concerto_ros.objects.encoders.recon.transformer import ReConShape

NAMES = ("rod", "disc", "ball", "box")

#: How each is stretched, y up; the last has corners.
EXTENTS = np.array([(0.1, 1.0, 0.1), (1.0, 0.1, 1.0), (0.7, 0.7, 0.7), (0.5, 0.6, 0.5)])


def toys(per_class: int, seed: int = 0, points: int = 64, classes: int = 4) -> ObjectSet:
    """``per_class`` noisy objects of each of the first ``classes`` kinds."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), per_class)
    cloud = rng.normal(size=(len(labels), points, 3))
    size = np.where(labels == 3, np.inf, 2.0)
    norm = [np.linalg.norm(one, order, axis=1) for one, order in zip(cloud, size, strict=True)]
    cloud /= np.stack(norm)[..., None]
    cloud *= EXTENTS[labels][:, None] * rng.uniform(0.9, 1.1, (len(labels), 1, 3))
    cloud += rng.normal(0, 0.01, cloud.shape)
    return ObjectSet(f"toys {seed}", cloud.astype(np.float32), labels, NAMES[:classes])


def tiny_recon(classes: int | None = 4, seed: int = 0, blocks: int = 1) -> ReCon:
    """A ReCon of one block or a few."""
    torch.manual_seed(seed)
    model = ReCon(ReConShape(16, blocks, 2, 8, 8, (8, 16, 16)), 48)
    if classes is not None:
        model.add_head(classes)
    return model

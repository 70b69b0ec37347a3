# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Objects that are easy to tell apart, and encoders small enough to train in a test."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from concerto_ros.learning.objects.data.object_set import ObjectSet
from concerto_ros.learning.objects.pretraining.i2p_mae.network import DecoderShape
from concerto_ros.learning.objects.pretraining.i2p_mae.recipe import SMALL, I2PMAERecipe
from concerto_ros.learning.objects.training.recipes import ObjectTrainingConfig
from concerto_ros.objects.encoders.i2p_mae.network import Grouping, Widths
from concerto_ros.objects.encoders.recon.encoder import ReCon
from concerto_ros.objects.encoders.recon.transformer import ReConShape

NAMES = ("rod", "disc", "ball", "box")

#: How each is stretched, y up; the last has corners.
EXTENTS = np.array([(0.1, 1.0, 0.1), (1.0, 0.1, 1.0), (0.7, 0.7, 0.7), (0.5, 0.6, 0.5)])


#: Categories of ShapeNetPart, and the folders that hold their objects.
PART_NAMES = {"Airplane": "02691156", "Mug": "03797390"}


def clouds(count: int, points: int = 32, seed: int = 0) -> np.ndarray:
    """(count, points, 3) random clouds."""
    return np.random.default_rng(seed).normal(size=(count, points, 3)).astype(np.float32)


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


def tiny_i2p_mae(training: ObjectTrainingConfig) -> I2PMAERecipe:
    """The small recipe of I2P-MAE's pre-training with fewer and narrower blocks."""
    return replace(
        SMALL,
        widths=Widths((6, 12, 12), (1, 1, 1), 6),
        grouping=Grouping((24, 12, 8), (6, 4, 4), (0.0, 0.0, 0.0)),
        decoder=DecoderShape((12, 12), (1, 1), (1,)),
        points=64,
        training=training,
    )


def write_parts(folder: Path) -> None:
    """ShapeNetPart as it is published: two categories, three objects of each."""
    lines = [f"{name}\t{number}" for name, number in PART_NAMES.items()]
    (folder / "synsetoffset2category.txt").write_text("\n".join(lines))
    (folder / "train_test_split").mkdir()
    for place, part in enumerate(("train", "val", "test")):
        names = []
        for label, number in enumerate(PART_NAMES.values()):
            names.append(f"shape_data/{number}/object{place}")
            path = folder / number / f"object{place}.txt"
            path.parent.mkdir(exist_ok=True)
            count = 20 + 5 * place
            xyz = clouds(1, count, place)[0]
            parts = np.full((count, 1), (0, 36)[label])
            np.savetxt(path, np.concatenate([xyz, xyz, parts], 1), "%.6f")
        text = json.dumps(names)
        (folder / "train_test_split" / f"shuffled_{part}_file_list.json").write_text(text)

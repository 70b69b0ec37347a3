# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""ShapeNet55 as it is published, with a few small shapes."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
from small_objects import toys

#: Taxonomies and their captions.
TAXONOMIES = {"02691156": "airplane", "03001627": "chair", "04379243": "table"}

#: Shapes of each taxonomy in each list.
COUNTS = {"train": 4, "test": 2}


def write_shapenet55(folder: Path, points: int = 96, pictures: bool = True) -> list[str]:
    """Write lists, clouds, captions and pictures (of every other shape); return the names."""
    lists, clouds, images = (folder / n for n in ("ShapeNet-55", "shapenet_pc", "shapenet_img"))
    for place in (lists, clouds, images):
        place.mkdir(parents=True)
    names = []
    for split, count in COUNTS.items():
        objects = toys(count, seed=len(names), points=points, classes=len(TAXONOMIES))
        own = [f"{list(TAXONOMIES)[k]}-{split}{n:02d}ab" for n, k in enumerate(objects.labels)]
        for name, cloud in zip(own, objects.points, strict=True):
            np.save(clouds / f"{name}.npy", 0.4 * cloud + 0.1)
        (lists / f"{split}.txt").write_text("".join(f"{name}.npy\n" for name in own))
        names += own
    rng = np.random.default_rng(0)
    for name in names[::2] if pictures else ():
        cv2.imwrite(str(images / f"{name}.png"), rng.integers(0, 256, (40, 50, 3), np.uint8))
    # The published file has numbers, which have no leading zero.
    rows = [{"catalogue": int(one), "describe": text} for one, text in TAXONOMIES.items()]
    (folder / "shapenet55.json").write_text(json.dumps(rows))
    return names


def write_teacher(path: Path, names: list[str], width: int, views: int = 2) -> None:
    """Write random vectors of the names."""
    vectors = np.random.default_rng(width).normal(size=(len(names), views, width))
    np.savez(path, names=np.array(names), vectors=vectors.astype(np.float32))

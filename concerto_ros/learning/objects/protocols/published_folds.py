# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The few-shot folds of ModelNet40 that Point-BERT (Yu et al., CVPR 2022) published as pickles."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from concerto_ros.files.numpy_pickle import DAMAGE, read_arrays
from concerto_ros.learning.objects.data.object_set import ObjectSet
from concerto_ros.learning.objects.protocols.few_shot import FOLDS, Fold
from concerto_ros.objects.encoders.shared.preprocess import unit_sphere

#: As published, heads keep the classes of ModelNet40, although a fold has fewer.
CLASSES = 40


def published_folds(folder: Path, way: int, shot: int, count: int = FOLDS) -> Iterator[Fold]:
    """Read the folds 0 to ``count`` - 1 of ``folder``/5way_10shot and so on, in unit spheres.

    A file is a dict of lists ``train`` and ``test``; each object is its points (x, y, z and more),
    its label from 0 to way - 1, and more. Nothing in a file can run.

    Raises:
        ValueError: If a file is missing or wrong; the message names it.
    """
    for number in range(count):
        path = Path(folder) / f"{way}way_{shot}shot" / f"{number}.pkl"
        content = _read(path)
        yield Fold(*(_objects(path, content, split, way) for split in ("train", "test")))


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ValueError(f"{path} is not a file, expected it as in the published data set")
    try:
        with path.open("rb") as file:
            content = read_arrays(file)
    except DAMAGE as error:
        raise ValueError(f"{path} cannot be read as a pickle of arrays: {error}") from error
    if not isinstance(content, dict) or not {"train", "test"} <= content.keys():
        raise ValueError(
            f"{path} holds {type(content).__name__}, expected a dict of lists train and test"
        )
    return content


def _objects(path: Path, content: dict[str, Any], split: str, way: int) -> ObjectSet:
    name = f"{path}, {split}"
    try:
        clouds = [np.asarray(cloud, np.float32)[:, :3] for cloud, *_ in content[split]]
        labels = np.array([int(label) for _, label, *_ in content[split]])
        points = np.stack(clouds)
    except (TypeError, ValueError, IndexError, KeyError) as error:
        raise ValueError(
            f"{name}: expected objects of (points, label, ...), all with the same number of"
            f" points: {error}"
        ) from error
    normalised = unit_sphere(torch.from_numpy(points)).numpy()
    return ObjectSet(name, normalised, labels, tuple(f"class {label}" for label in range(way)))

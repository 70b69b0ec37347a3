# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Test objects of the bundled encoder from the models that a furniture library holds out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from concerto_ros.learning.objects.data.object_set import ObjectSet
from concerto_ros.learning.objects.data.shapes import stood
from concerto_ros.learning.objects.data.synthetic import CLASSES, made_once
from concerto_ros.learning.objects.demo_encoder.library_models import models_by_answer
from concerto_ros.learning.objects.demo_encoder.objects import ANSWERS, cropped_or_nan
from concerto_ros.objects.encoders.shared.base import NONE_OF_THESE
from concerto_ros.sim.library import Piece, part_of
from concerto_ros.sim.mesh import rotation_about

#: Sorts of background models by their class in rooms; all others are ``other things``.
_SORTS = {"bed": "beds", "person": "people", "cabinet": "cabinets and shelves"}


def held_out_models(furniture: Path) -> dict[str, list[Piece]]:
    """The held-out models of the library in a folder, by class, then by sort of background."""
    by_answer = models_by_answer(furniture, True)
    sorts = {answer: by_answer[answer] for answer in CLASSES if answer in by_answer}
    for piece in by_answer.get(NONE_OF_THESE, []):
        sorts.setdefault(_SORTS.get(piece.kind.class_name, "other things"), []).append(piece)
    return sorts


def models_to_test(
    folder: Path, count: int, voxel: float, furniture: Path
) -> dict[str, ObjectSet]:
    """Read or make crops of held-out models from a map.

    Models are as large as in their library, each turned about z. Crops with too few voxels are
    skipped.

    Args:
        folder: Caches the objects.
        count: Crops of each class, and of each sort of background; its models take turns.
        voxel: Size of the map's voxels, metres.
        furniture: Folder of the library.

    Returns:
        The objects by class or sort of background.
    """
    sorts = held_out_models(furniture)
    jobs = [(sort, number, voxel, furniture) for sort in sorts for number in range(count)]
    path = folder / f"test_models_{voxel}_{count}_{part_of(furniture, True).identity}.npy"
    points = made_once(path, _model, jobs, None).reshape(len(sorts), count, -1, 3)
    sets = {}
    for sort, of_sort in zip(sorts, points, strict=True):
        found = of_sort[np.isfinite(of_sort).all((1, 2))]
        label = ANSWERS.index(sort if sort in CLASSES else NONE_OF_THESE)
        labels = np.full(len(found), label)
        sets[sort] = ObjectSet(f"{sort}, {voxel}", found, labels, ANSWERS, prepared=True)
    return sets


def _model(job: tuple[str, int, float, Path]) -> np.ndarray:
    sort, number, voxel, furniture = job
    models = held_out_models(furniture)
    rng = np.random.default_rng((6, list(models).index(sort), number, round(1000 * voxel)))
    piece = models[sort][number % len(models[sort])]
    turn = rotation_about("z", rng.uniform(0, 2 * np.pi))
    return cropped_or_nan(stood(piece.mesh().transformed(turn, (0, 0, 0))), voxel, rng)

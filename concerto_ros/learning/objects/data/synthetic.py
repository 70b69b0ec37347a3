# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The synthetic benchmark: objects of our own shapes, made once and kept on disk.

Every object follows from its split, class and number alone. It shows that a protocol learns, and
compares encoders with each other; it says nothing about published accuracies.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from concerto_ros.files.atomic_write import replacing
from concerto_ros.learning.data.spawn_map import spawn_map
from concerto_ros.learning.objects.data.object_set import ObjectSet
from concerto_ros.learning.objects.data.shapes import BUILDERS, build
from concerto_ros.learning.objects.data.views import KINDS, observe
from concerto_ros.objects.encoders.shared.preprocess import InputForm, prepare_object

log = logging.getLogger(__name__)

CLASSES = tuple(BUILDERS)

#: Splits; no object is in two of them.
SPLITS = ("train", "test")

#: Points of an object: fewer that were seen come again in turn, of more some are drawn.
POINTS = 1024

_FORM = InputForm(POINTS, farthest=False)

#: What says which object is to be made.
Job = tuple[str | int, ...]


def synthetic_objects(
    folder: Path, split: str, per_class: int, kind: str = "view", processes: int | None = None
) -> ObjectSet:
    """``per_class`` objects of each class, seen in one of the ways of ``views.KINDS``.

    Read from ``folder``, or made into it in ``processes`` processes (None: one per core). The
    first objects of a class are the same whatever ``per_class``.

    Raises:
        ValueError: For another split or kind, or less than one object.
    """
    if split not in SPLITS:
        raise ValueError(f"split is {split!r}, expected one of {', '.join(SPLITS)}")
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}, expected one of {', '.join(KINDS)}")
    if per_class < 1:
        raise ValueError(f"per_class is {per_class}, expected at least 1")
    jobs = [(split, i, number, kind) for i in range(len(CLASSES)) for number in range(per_class)]
    points = made_once(Path(folder) / f"{split}_{kind}_{per_class}.npy", _make, jobs, processes)
    labels = np.repeat(np.arange(len(CLASSES)), per_class)
    return ObjectSet(f"synthetic {kind}, {split}", points, labels, CLASSES)


def object_points(split: str, label: int, number: int, kind: str) -> np.ndarray:
    """(N, 3) float32 metres, z up: one object of the benchmark as it is seen, not normalised."""
    key = (SPLITS.index(split), label, number)
    mesh = build(CLASSES[label], np.random.default_rng(key))
    return observe(mesh, kind, np.random.default_rng((*key, KINDS.index(kind))))


def _make(job: Job) -> np.ndarray:
    return prepare_object(object_points(*job), None, _FORM).numpy()


def made_once(
    path: Path, make: Callable[[Job], np.ndarray], jobs: Sequence[Job], processes: int | None
) -> np.ndarray:
    """(S, ...) what ``make`` returns for each job: read from ``path``, or made into it.

    Args:
        processes: None for one per core.
    """
    if path.is_file():
        return np.load(path)
    log.info("making %d synthetic objects (%s)", len(jobs), path.stem)
    few = len(jobs) < 500  # made before other processes have started
    made = np.stack(spawn_map(make, jobs, 1 if few else processes, chunk=32, unit="object"))
    with replacing(path) as partial, partial.open("wb") as file:
        np.save(file, made)
    return made

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The synthetic benchmark: objects of generated shapes, made once and cached on disk.

Every object follows from its split, class and number alone. The benchmark shows that a protocol
learns, and compares encoders with each other; it is no substitute for published accuracies.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from concerto_ros.files.atomic_write import replacing
from concerto_ros.files.numpy_file import read_npy
from concerto_ros.learning.data.spawn_map import spawn_map
from concerto_ros.learning.objects.data.object_set import ObjectSet
from concerto_ros.learning.objects.data.shapes import BUILDERS, build
from concerto_ros.learning.objects.data.views import KINDS, observe
from concerto_ros.objects.encoders.shared.preprocess import InputForm, prepare_object
from concerto_ros.sim.mesh import Mesh

log = logging.getLogger(__name__)

CLASSES = tuple(BUILDERS)

#: Splits; they share no object.
SPLITS = ("train", "test")

#: Points of an object: if fewer were seen they are repeated cyclically, of more some are drawn.
POINTS = 1024

_FORM = InputForm(POINTS, farthest=False)

#: Describes an object to make.
Job = TypeVar("Job", bound=tuple)


def synthetic_objects(
    folder: Path, split: str, per_class: int, kind: str = "view", processes: int | None = None
) -> ObjectSet:
    """Read or make ``per_class`` objects of each class.

    The first objects of a class are the same whatever ``per_class``.

    Args:
        folder: Caches the objects.
        split: One of :data:`SPLITS`.
        per_class: Objects of each class.
        kind: How the objects are seen, one of ``views.KINDS``.
        processes: Processes that make the objects; None for one per core.

    Raises:
        ValueError: If the split or kind is unknown, or ``per_class`` is below 1.
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


def benchmark_object(split: str, label: int, number: int) -> Mesh:
    """Build one object of the benchmark."""
    return build(CLASSES[label], np.random.default_rng((SPLITS.index(split), label, number)))


def object_points(
    split: str, label: int, number: int, kind: str, mesh: Mesh | None = None
) -> np.ndarray:
    """Observe one object of the benchmark, (N, 3) float32 metres, z up; or ``mesh`` in its place.

    Args:
        split: One of :data:`SPLITS`.
        label: Position of its class in :data:`CLASSES`.
        number: Number of the object in its class.
        kind: One of ``views.KINDS``.
        mesh: The object that takes its place; None: itself.
    """
    rng = np.random.default_rng((SPLITS.index(split), label, number, KINDS.index(kind)))
    if mesh is None:
        mesh = benchmark_object(split, label, number)
    return observe(mesh, kind, rng)


def _make(job: tuple[str, int, int, str]) -> np.ndarray:
    return prepare_object(object_points(*job), None, _FORM).numpy()


def made_once(
    path: Path, make: Callable[[Job], np.ndarray], jobs: Sequence[Job], processes: int | None
) -> np.ndarray:
    """Return (S, ...) results of ``make`` for each job: read from ``path``, or made and written.

    Args:
        path: The .npy file.
        make: Called with each job; at module level, since other processes run it.
        jobs: What to make.
        processes: None for one per core.
    """
    if path.is_file():
        return read_npy(path)
    log.info("making %d synthetic objects (%s)", len(jobs), path.stem)
    few = len(jobs) < 500  # faster than other processes start
    made = np.stack(spawn_map(make, jobs, 1 if few else processes, chunk=32, unit="object"))
    with replacing(path) as partial, partial.open("wb") as file:
        np.save(file, made)
    return made

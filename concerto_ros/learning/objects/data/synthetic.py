# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The synthetic benchmark: objects of our own shapes, made once and kept on disk.

Every object follows from its split, class and number alone. It shows that a protocol learns, and
compares encoders with each other; it says nothing about published accuracies.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

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

    Raises ValueError for another split or kind, or less than one object.
    """
    if split not in SPLITS:
        raise ValueError(f"split is {split!r}, wanted one of {', '.join(SPLITS)}")
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}, wanted one of {', '.join(KINDS)}")
    if per_class < 1:
        raise ValueError(f"per_class is {per_class}, wanted at least 1")
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

    processes: None for one per core.
    """
    if path.is_file():
        return np.load(path)
    made = _make_all(path.stem, make, jobs, processes or os.cpu_count() or 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.npy")
    np.save(part, made)
    part.replace(path)  # whole or not at all
    return made


def _make_all(
    name: str, make: Callable[[Job], np.ndarray], jobs: Sequence[Job], processes: int
) -> np.ndarray:
    from tqdm import tqdm

    log.info("making %d synthetic objects (%s)", len(jobs), name)
    if processes == 1 or len(jobs) < 500:
        return np.stack([make(job) for job in jobs])
    # Fresh processes: those of a fork would share locks that threads of this one may hold.
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes, initializer=_one_thread) as pool:
        made = pool.imap(make, jobs, chunksize=32)
        return np.stack(list(tqdm(made, total=len(jobs), unit="object")))


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the object encoder in the box learns from and is tested on.

The things of the synthetic benchmark, most of them cut out of maps as the node does it, and scraps
(:mod:`concerto_ros.learning.objects.demo_encoder.background_crops`), which are none of them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from concerto_ros.learning.objects.data.object_set import ObjectSet, join
from concerto_ros.learning.objects.data.shapes import build
from concerto_ros.learning.objects.data.synthetic import (
    CLASSES,
    SPLITS,
    Job,
    made_once,
    object_points,
)
from concerto_ros.learning.objects.demo_encoder.background_crops import SCRAPS, TRAINED, scrap
from concerto_ros.learning.objects.demo_encoder.map_crops import MIN_VOXELS, cut_out
from concerto_ros.objects.encoders.shared.base import NONE_OF_THESE
from concerto_ros.objects.encoders.shared.preprocess import InputForm, prepare_object
from concerto_ros.sim.furniture import Rng

#: The encoder's classes; the last is the answer to scraps.
ANSWERS = (*CLASSES, NONE_OF_THESE)

#: What the encoder takes. It sees how large a thing is: without, a mug of 30 voxels is a bin.
FORM = InputForm(512, size_power=1 / 3)

#: Voxels of the maps that it is tested on, metres.
VOXELS = (0.02, 0.04)

#: Half of the maps to learn from have one of these, the others any between these bounds, metres.
VOXEL_BOUNDS = (0.008, 0.05)

#: Of the objects to learn from, the shares seen in a picture and all round; the others are cut.
VIEWS, SURFACES = 0.15, 0.1

#: One object in three stands beside another, at most so far away, metres.
COMPANY, APART = 1 / 3, 0.08

#: An object counts if so much of it is the thing, and if it has so much of the thing.
PURE, WHOLE = 0.7, 0.5

#: Attempts at one object.
TRIES = 6


def training_objects(folder: Path, per_class: int, scraps: int) -> ObjectSet:
    """``per_class`` objects of each thing and ``scraps`` scraps; made into ``folder`` once."""
    jobs = [
        (label, number, per_class) for label in range(len(CLASSES)) for number in range(per_class)
    ]
    points = made_once(folder / f"train_things_{per_class}.npy", _train_thing, jobs, None)
    labels = np.array([label for label, _, _ in jobs])
    jobs = [(TRAINED[number % len(TRAINED)], 0, number, None) for number in range(scraps)]
    nothing = made_once(folder / f"train_scraps_{scraps}.npy", _scrap, jobs, None)
    return join(
        "things and scraps, train",
        [
            ObjectSet("things", points, labels, ANSWERS, prepared=True),
            ObjectSet("scraps", nothing, np.full(scraps, len(CLASSES)), ANSWERS, prepared=True),
        ],
    )


def things_to_test(folder: Path, per_class: int, kind: str | float) -> ObjectSet:
    """Other objects of each thing: a ``surface``, a ``view``, or cut from voxels of some metres.

    Those of which a map holds too little are left out.
    """
    jobs = [(label, number, kind) for label in range(len(CLASSES)) for number in range(per_class)]
    points = made_once(folder / f"test_things_{kind}_{per_class}.npy", _test_thing, jobs, None)
    found = np.isfinite(points).all((1, 2))
    labels = np.array([label for label, _, _ in jobs])
    return ObjectSet(f"things, {kind}", points[found], labels[found], ANSWERS, prepared=True)


def scraps_to_test(folder: Path, name: str, count: int, voxel: float) -> ObjectSet:
    """Other scraps of one kind."""
    jobs = [(name, 1, number, voxel) for number in range(count)]
    points = made_once(folder / f"test_scraps_{name}_{voxel}_{count}.npy", _scrap, jobs, None)
    labels = np.full(count, len(CLASSES))
    return ObjectSet(f"{name}, {voxel}", points, labels, ANSWERS, prepared=True)


def _train_thing(job: Job) -> np.ndarray:
    label, number, per_class = job
    share = number / per_class
    if share < VIEWS + SURFACES:
        kind = "view" if share < VIEWS else "surface"
        return _prepared(object_points("train", label, number, kind))
    rng = np.random.default_rng((1, label, number))
    for _ in range(TRIES):
        points = _thing("train", label, number, _any_voxel(rng), rng)
        if points is not None:
            return _prepared(points)
    return _prepared(object_points("train", label, number, "map"))


def _test_thing(job: Job) -> np.ndarray:
    label, number, kind = job
    if isinstance(kind, str):
        return _prepared(object_points("test", label, number, kind))
    rng = np.random.default_rng((2, label, number, round(1000 * kind)))
    for _ in range(TRIES):
        points = _thing("test", label, number, kind, rng)
        if points is not None:
            return _prepared(points)
    return np.full((FORM.points, 3), np.nan, np.float32)


def _thing(split: str, label: int, number: int, voxel: float, rng: Rng) -> np.ndarray | None:
    """(N, 3) metres: one object of the benchmark cut out of a map; None where that fails."""
    mesh = build(CLASSES[label], np.random.default_rng((SPLITS.index(split), label, number)))
    neighbour = None
    if rng.random() < COMPANY:
        neighbour = build(CLASSES[int(rng.integers(len(CLASSES)))], rng)
    found = cut_out(mesh, voxel, rng, neighbour=neighbour, apart=rng.uniform(0, APART))
    if found is None or found.purity < PURE or found.whole < WHOLE:
        return None
    return found.points if len(found.points) >= MIN_VOXELS else None


def _scrap(job: Job) -> np.ndarray:
    name, split, number, voxel = job
    rng = np.random.default_rng((3, list(SCRAPS).index(name), split, number))
    return _prepared(scrap(name, voxel or _any_voxel(rng), rng))


def _any_voxel(rng: Rng) -> float:
    if rng.random() < 0.5:
        return VOXELS[int(rng.integers(len(VOXELS)))]
    return float(np.exp(rng.uniform(*np.log(VOXEL_BOUNDS))))


def _prepared(points: np.ndarray) -> np.ndarray:
    return prepare_object(points, None, FORM).numpy()

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Training and test objects of the bundled encoder.

The objects of the synthetic benchmark, most of them segmented in maps as the node does it, and
background crops (:mod:`concerto_ros.learning.objects.demo_encoder.background_crops`). Where there
is a furniture library, its models are among both
(:mod:`concerto_ros.learning.objects.demo_encoder.library_models`).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from concerto_ros.learning.objects.data.object_set import ObjectSet, join
from concerto_ros.learning.objects.data.shapes import build
from concerto_ros.learning.objects.data.synthetic import (
    CLASSES,
    benchmark_object,
    made_once,
    object_points,
)
from concerto_ros.learning.objects.data.views import observe
from concerto_ros.learning.objects.demo_encoder.background_crops import (
    BACKGROUND_CROPS,
    TRAINED,
    background_crop,
)
from concerto_ros.learning.objects.demo_encoder.library_models import (
    models_by_answer,
    training_model,
    varied,
)
from concerto_ros.learning.objects.demo_encoder.map_crops import MIN_VOXELS, crop_from_map
from concerto_ros.objects.encoders.shared.base import NONE_OF_THESE
from concerto_ros.objects.encoders.shared.preprocess import InputForm, prepare_object
from concerto_ros.sim.library import part_of
from concerto_ros.sim.mesh import Mesh
from concerto_ros.sim.pieces.furniture import Rng, pick

#: The encoder's classes; the last is that of background crops.
ANSWERS = (*CLASSES, NONE_OF_THESE)

#: What the encoder takes. The size of an object shows: otherwise a mug of 30 voxels is a bin.
FORM = InputForm(512, size_power=1 / 3)

#: Voxel sizes of the test maps, metres. Half of the training maps have one of these.
VOXELS = (0.02, 0.04)

#: The other training maps have any voxel size between these bounds, metres.
VOXEL_BOUNDS = (0.008, 0.05)

#: Shares of the training objects in a single view and on all sides; the others are map crops.
VIEWS, SURFACES = 0.15, 0.1

#: Background crops of a library's models, as a share of the others.
LIBRARY_BACKGROUND = 0.4

#: One object in three stands beside another, at most this far away, metres.
COMPANY, APART = 1 / 3, 0.08

#: A crop is used if at least this share of it is the object, and this share of the object in it.
PURE, WHOLE = 0.7, 0.5

#: Attempts at one object.
TRIES = 6


def training_objects(
    folder: Path, per_class: int, background: int, furniture: Path | None = None
) -> ObjectSet:
    """Read or make the training set.

    Args:
        folder: Caches the objects.
        per_class: Objects of each class.
        background: Number of background crops.
        furniture: Folder of a furniture library, whose models then take a share of the objects;
            those of no class are background crops beside the others. None: generated objects only.
    """
    suffix = "" if furniture is None else f"_{part_of(furniture, False).identity}"
    jobs = [
        (label, number, per_class, furniture)
        for label in range(len(CLASSES))
        for number in range(per_class)
    ]
    points = made_once(folder / f"train_things_{per_class}{suffix}.npy", _train_thing, jobs, None)
    labels = np.array([label for label, *_ in jobs])
    crops: list[_CropJob] = [
        (TRAINED[number % len(TRAINED)], 0, number, None) for number in range(background)
    ]
    # "scraps" is an older word for background crops; half-done trainings are recognised by the
    # name of their data, and caches by their file names.
    path = folder / f"train_scraps_{background}.npy"
    nothing = made_once(path, _background_crop, crops, None)
    if furniture is not None and NONE_OF_THESE in models_by_answer(furniture, False):
        models = [(number, furniture) for number in range(round(LIBRARY_BACKGROUND * background))]
        path = folder / f"train_models_{len(models)}{suffix}.npy"
        nothing = np.concatenate([nothing, made_once(path, _background_model, models, None)])
    rejected = np.full(len(nothing), len(CLASSES))
    return join(
        "things and scraps, train",
        [
            ObjectSet("things", points, labels, ANSWERS, prepared=True),
            ObjectSet("scraps", nothing, rejected, ANSWERS, prepared=True),
        ],
    )


def things_to_test(folder: Path, per_class: int, kind: str | float) -> ObjectSet:
    """Read or make test objects of each class.

    Those with too few voxels in the map are skipped.

    Args:
        folder: Caches the objects.
        per_class: Objects of each class.
        kind: ``surface``, ``view``, or the voxel size in metres of the map that they are cropped
            from.
    """
    jobs = [(label, number, kind) for label in range(len(CLASSES)) for number in range(per_class)]
    points = made_once(folder / f"test_things_{kind}_{per_class}.npy", _test_thing, jobs, None)
    found = np.isfinite(points).all((1, 2))
    labels = np.array([label for label, _, _ in jobs])
    return ObjectSet(f"things, {kind}", points[found], labels[found], ANSWERS, prepared=True)


def background_to_test(folder: Path, name: str, count: int, voxel: float) -> ObjectSet:
    """Read or make test crops of one type of background.

    Args:
        folder: Caches the objects.
        name: A key of ``BACKGROUND_CROPS``.
        count: Number of crops.
        voxel: Size of the map's voxels, metres.
    """
    jobs: list[_CropJob] = [(name, 1, number, voxel) for number in range(count)]
    path = folder / f"test_scraps_{name}_{voxel}_{count}.npy"
    points = made_once(path, _background_crop, jobs, None)
    labels = np.full(count, len(CLASSES))
    return ObjectSet(f"{name}, {voxel}", points, labels, ANSWERS, prepared=True)


def _train_thing(job: tuple[int, int, int, Path | None]) -> np.ndarray:
    label, number, per_class, furniture = job
    model = None
    if furniture is not None:
        rng = np.random.default_rng((4, label, number))
        model = training_model(CLASSES[label], furniture, rng)
    share = number / per_class
    if share < VIEWS + SURFACES:
        kind = "view" if share < VIEWS else "surface"
        return _prepared(object_points("train", label, number, kind, model))
    mesh = benchmark_object("train", label, number) if model is None else model
    rng = np.random.default_rng((1, label, number))
    for _ in range(TRIES):
        points = cropped(mesh, _any_voxel(rng), rng)
        if points is not None:
            return _prepared(points)
    return _prepared(object_points("train", label, number, "map", model))


def _test_thing(job: tuple[int, int, str | float]) -> np.ndarray:
    label, number, kind = job
    if isinstance(kind, str):
        return _prepared(object_points("test", label, number, kind))
    rng = np.random.default_rng((2, label, number, round(1000 * kind)))
    return cropped_or_nan(benchmark_object("test", label, number), kind, rng)


def cropped_or_nan(mesh: Mesh, voxel: float, rng: Rng) -> np.ndarray:
    """Cut an object out of a map, as the encoder takes it; all NaN where no attempt succeeds."""
    for _ in range(TRIES):
        points = cropped(mesh, voxel, rng)
        if points is not None:
            return _prepared(points)
    return np.full((FORM.points, 3), np.nan, np.float32)


def cropped(mesh: Mesh, voxel: float, rng: Rng) -> np.ndarray | None:
    """Cut an object out of a map, (N, 3) metres; None where that fails.

    Args:
        mesh: The object, on z = 0; one in three stands beside another.
        voxel: Size of the map's voxels, metres.
        rng: Source of all randomness.
    """
    neighbour = None
    if rng.random() < COMPANY:
        neighbour = build(CLASSES[int(rng.integers(len(CLASSES)))], rng)
    crop = crop_from_map(mesh, voxel, rng, neighbour=neighbour, apart=rng.uniform(0, APART))
    if crop is None or crop.purity < PURE or crop.whole < WHOLE:
        return None
    return crop.points if len(crop.points) >= MIN_VOXELS else None


#: Name, number of the split, number of the crop, and voxel size in metres (None for a random one).
_CropJob = tuple[str, int, int, float | None]


def _background_crop(job: _CropJob) -> np.ndarray:
    name, split, number, voxel = job
    rng = np.random.default_rng((3, list(BACKGROUND_CROPS).index(name), split, number))
    return _prepared(background_crop(name, voxel or _any_voxel(rng), rng))


def _background_model(job: tuple[int, Path]) -> np.ndarray:
    number, furniture = job
    rng = np.random.default_rng((5, number))
    models = models_by_answer(furniture, False)[NONE_OF_THESE]
    for _ in range(TRIES):
        mesh = varied(pick(rng, models), NONE_OF_THESE, rng)
        points = cropped(mesh, _any_voxel(rng), rng)
        if points is not None:
            return _prepared(points)
    return _prepared(observe(mesh, "map", rng))


def _any_voxel(rng: Rng) -> float:
    if rng.random() < 0.5:
        return VOXELS[int(rng.integers(len(VOXELS)))]
    return float(np.exp(rng.uniform(*np.log(VOXEL_BOUNDS))))


def _prepared(points: np.ndarray) -> np.ndarray:
    return prepare_object(points, None, FORM).numpy()

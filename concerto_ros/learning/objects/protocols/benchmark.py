# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Protocols and encoders compared on the synthetic benchmark; the table in ``docs/objects.md``.

Single views of a Kinect-like camera. Every row learns from the same objects and is scored on the
same test objects, after its last epoch.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from concerto_ros.files.torch_file import read_tensors, write_file
from concerto_ros.learning.objects.data.object_set import ObjectSet
from concerto_ros.learning.objects.data.synthetic import CLASSES, synthetic_objects
from concerto_ros.learning.objects.data.views import KINDS
from concerto_ros.learning.objects.demo_encoder.training import RECIPE, SEED, SHAPE
from concerto_ros.learning.objects.pretraining.without_teachers import new_recon, pretrain
from concerto_ros.learning.objects.protocols.few_shot import (
    FOLDS,
    QUERIES,
    Fold,
    few_shot_fine_tuned,
    few_shot_svm,
    folds,
)
from concerto_ros.learning.objects.protocols.linear_svm import linear_svm
from concerto_ros.learning.objects.protocols.pointnet import PointNet
from concerto_ros.learning.objects.training.fine_tune import fine_tune
from concerto_ros.learning.objects.training.recipes import ObjectTrainingConfig, svm_recipe
from concerto_ros.learning.objects.training.scores import Spread
from concerto_ros.learning.objects.training.training_run import RunOptions, tested
from concerto_ros.objects.encoders.recon.encoder import ReCon
from concerto_ros.objects.encoders.shared.base import ObjectEncoder

SVM = svm_recipe(ReCon, "modelnet40")

POINTS = 512

#: Objects of each class in pre-training, without labels and in all kinds of views, and its steps.
PER_CLASS, PRETRAIN_STEPS = 100, 200

#: Few objects give few steps: small batches make more of them.
SHOTS_BATCH = 16


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Attributes:
        per_class: Objects of each class in pre-training, without labels.
        steps: Steps of pre-training.
        labelled: Objects of each class with labels.
        test: Test objects of each class.
        epochs: Epochs of fine-tuning.
        folds: Few-shot folds.
        queries: Objects of each class to classify in a fold.
        fold_epochs: Epochs of fine-tuning in a fold.
    """

    per_class: int = PER_CLASS
    steps: int = PRETRAIN_STEPS
    labelled: int = 20
    test: int = 30
    epochs: int = 24
    folds: int = FOLDS
    queries: int = QUERIES
    fold_epochs: int = 30


FULL = Size()
SMALL = Size(per_class=2, steps=2, labelled=2, test=2, epochs=2, folds=2, queries=2, fold_epochs=2)


@dataclass(frozen=True)
class Row:
    """One line of the table; ``seconds`` are of its own training and scoring."""

    protocol: str
    encoder: str
    result: str
    seconds: float


def measure(folder: Path, size: Size = FULL, *, progress: bool = False) -> str:
    """Run everything and return the table as Markdown; ``folder`` caches objects and weights."""
    started = time.monotonic()
    model = pretrained(folder, per_class=size.per_class, steps=size.steps, progress=progress)
    before = time.monotonic() - started
    whole = synthetic_objects(folder / "data", "train", size.per_class, "view")
    test = synthetic_objects(folder / "data", "test", size.test, "view")
    labelled = whole.some_of_each(size.labelled)
    rows = []
    for protocol, encoder, work in _rows(model, whole, labelled, test, size):
        begun = time.monotonic()
        result = work()
        rows.append(Row(protocol, encoder, result, time.monotonic() - begun))
        if progress:
            print(rows[-1], flush=True)
    return _table(rows, size, before)


def pretrained(
    folder: Path, *, per_class: int, steps: int, seed: int = SEED, progress: bool = False
) -> ReCon:
    """Pre-train the small ReCon without labels, or read it from ``folder`` where it exists."""
    model = new_recon(SHAPE, POINTS, seed)
    path = folder / f"pretrained_{per_class}_{steps}_{seed}.pt"
    if path.is_file():
        model.load_state_dict(read_tensors(path)["weights"])
        return model.eval().requires_grad_(False)
    seen = [synthetic_objects(folder / "data", "train", per_class, kind) for kind in KINDS]
    pretrain(model, seen, steps=steps, seed=seed, progress=progress)
    write_file(path, {"weights": model.state_dict()})
    return model


def _rows(
    model: ReCon, whole: ObjectSet, labelled: ObjectSet, test: ObjectSet, size: Size
) -> list[tuple[str, str, Callable[[], str]]]:
    """Return protocol, encoder, and what computes the result."""
    untrained = new_recon(SHAPE, POINTS, SEED)
    recipe = RECIPE.shortened(size.epochs - 1)
    shots = replace(RECIPE.shortened(size.fold_epochs - 1), batch_size=SHOTS_BATCH)
    svm = f"linear SVM, {size.labelled} labelled objects of each class"
    tuned = f"fine-tuned, {size.labelled} labelled objects of each class"
    few = "5-way 10-shot" if size.queries >= QUERIES else "2-way 2-shot"

    def parts() -> Iterator[Fold]:
        way, shot = (5, 10) if size.queries >= QUERIES else (2, 2)
        return folds(whole, test, way, shot, queries=size.queries, count=size.folds, seed=SEED)

    def by_svm(encoder: ObjectEncoder) -> str:
        return _percent(linear_svm(encoder, labelled, test, SVM).accuracy)

    def by_tuning(encoder: ReCon | PointNet) -> str:
        return _percent(_tuned(encoder, labelled, test, recipe))

    def few_tuned(encoder: ReCon | PointNet) -> Spread:
        return few_shot_fine_tuned(_with_head(encoder), parts(), shots).last

    return [
        (svm, "ReCon, untrained", lambda: by_svm(untrained)),
        (svm, "ReCon, pre-trained", lambda: by_svm(model)),
        (tuned, "PointNet, from scratch", lambda: by_tuning(_pointnet())),
        (tuned, "ReCon, from scratch", lambda: by_tuning(untrained)),
        (tuned, "ReCon, pre-trained", lambda: by_tuning(model)),
        (few, "PointNet, trained on each fold", lambda: str(few_tuned(_pointnet()))),
        (few, "ReCon, pre-trained, linear SVM", lambda: str(few_shot_svm(model, parts(), SVM))),
        (few, "ReCon, pre-trained, fine-tuned on each fold", lambda: str(few_tuned(model))),
    ]


def _pointnet() -> PointNet:
    with torch.random.fork_rng([]):
        torch.manual_seed(SEED)
        return PointNet(POINTS, len(CLASSES))


def _with_head(encoder: ReCon | PointNet) -> ReCon | PointNet:
    """Return a copy with a head for the classes, a new one if it is a ReCon."""
    encoder = copy.deepcopy(encoder)
    with torch.random.fork_rng([]):
        torch.manual_seed(SEED)
        encoder.reset_head(len(CLASSES))
    return encoder


def _tuned(
    encoder: ReCon | PointNet, train: ObjectSet, test: ObjectSet, recipe: ObjectTrainingConfig
) -> float:
    """Fine-tune a copy and return its accuracy."""
    options = RunOptions(test=test, test_every=recipe.epochs + 1, seed=SEED)
    return tested(fine_tune(_with_head(encoder), train, recipe, options)).last


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _table(rows: list[Row], size: Size, before: float) -> str:
    lines = [
        f"{len(CLASSES)} classes, single views of a Kinect-like camera, {POINTS} points;"
        f" {size.test} test objects of each class. Pre-training: {size.steps} steps without labels"
        f" on {size.per_class} objects of each class, each seen whole, in a view and in a map"
        f" ({before:.0f} s, 0 if it was cached). Fine-tuning: {size.epochs} epochs, in few-shot"
        f" {size.fold_epochs} on each of {size.folds} folds.",
        "",
        "| protocol | encoder | right | seconds |",
        "| --- | --- | ---: | ---: |",
    ]
    lines += [
        f"| {row.protocol} | {row.encoder} | {row.result} | {row.seconds:.0f} |" for row in rows
    ]
    threads = torch.get_num_threads()
    total = sum(row.seconds for row in rows)
    return "\n".join([*lines, "", f"{total / 60:.0f} minutes with {threads} threads."])

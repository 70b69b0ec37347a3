# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Few-shot: w-way s-shot, a few classes from a few examples each, on ten folds."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from concerto_ros.learning.objects.data.object_set import ObjectSet
from concerto_ros.learning.objects.protocols.linear_svm import linear_svm
from concerto_ros.learning.objects.training.fine_tune import fine_tune
from concerto_ros.learning.objects.training.recipes import ObjectTrainingConfig, SvmRecipe
from concerto_ros.learning.objects.training.scores import Spread
from concerto_ros.learning.objects.training.training_run import (
    ObjectTrainingResult,
    RunOptions,
    tested,
)
from concerto_ros.objects.encoders.shared.base import ObjectEncoder

#: As published: folds, and objects of each class to classify.
FOLDS, QUERIES = 10, 20


@dataclass(frozen=True, eq=False)
class Fold:
    """Objects to learn from and objects to classify, of the same few classes."""

    support: ObjectSet
    queries: ObjectSet


def folds(
    train: ObjectSet,
    test: ObjectSet,
    way: int,
    shot: int,
    *,
    queries: int = QUERIES,
    count: int = FOLDS,
    seed: int = 0,
) -> Iterator[Fold]:
    """Draw random folds: classes, and objects of each, labelled 0 to ``way`` - 1.

    Args:
        train: Support objects are drawn from these.
        test: Queries are drawn from these.
        way: Classes of a fold.
        shot: Support objects of each class.
        queries: Queries of each class.
        count: Number of folds.
        seed: Of the random choices.

    Raises:
        ValueError: If too few classes have enough objects, or a number is too low.
    """
    for name, value, minimum in (("way", way, 2), ("shot", shot, 1), ("queries", queries, 1)):
        if value < minimum:
            raise ValueError(f"{name} is {value}, expected at least {minimum}")
    classes = range(len(train.classes))
    enough = [
        np.bincount(objects.labels, minlength=len(train.classes)) >= count
        for objects, count in ((train, shot), (test, queries))
    ]
    fit = [label for label in classes if enough[0][label] and enough[1][label]]
    if len(fit) < way:
        raise ValueError(
            f"{len(fit)} classes have {shot} objects in {train.name} and {queries} in"
            f" {test.name}, expected at least {way}"
        )
    for fold in range(count):
        rng = np.random.default_rng((seed, fold))
        chosen = rng.permutation(fit)[:way]
        yield Fold(_part(train, chosen, shot, rng), _part(test, chosen, queries, rng))


def few_shot_svm(
    encoder: ObjectEncoder,
    parts: Iterator[Fold],
    recipe: SvmRecipe,
    *,
    device: torch.device | str = "cpu",
) -> Spread:
    """Fit a linear SVM on frozen features, fold by fold.

    Args:
        encoder: The frozen encoder.
        parts: The folds.
        recipe: The SVM.
        device: Where the encoder runs.
    """
    values = [
        linear_svm(encoder, fold.support, fold.queries, recipe, device=device).accuracy
        for fold in parts
    ]
    return Spread(tuple(values))


@dataclass(frozen=True)
class Tuned:
    """Accuracies of the folds after the last epoch, and after the best epoch of each.

    Published numbers are the best ones, chosen by the queries themselves.
    """

    last: Spread
    best: Spread


def few_shot_fine_tuned(
    encoder: ObjectEncoder,
    parts: Iterator[Fold],
    recipe: ObjectTrainingConfig,
    *,
    method: str = "full",
    on_fold: Callable[[ObjectTrainingResult], None] | None = None,
    test_every: int | None = None,
    **options: Any,
) -> Tuned:
    """Fine-tune on each fold, always from the weights that ``encoder`` has now.

    Args:
        encoder: With a head for the classes.
        parts: The folds.
        recipe: The fine-tuning.
        method: What it trains, one of the encoder's ``training_methods``.
        on_fold: Called with the result of each fold.
        test_every: Epochs between scores on the queries; None for one score after the last epoch.
        options: ``device`` and ``seed`` of ``RunOptions``.
    """
    every = recipe.epochs + 1 if test_every is None else test_every
    outcomes = []
    for fold in parts:
        model = copy.deepcopy(encoder)
        how = RunOptions(test=fold.queries, test_every=every, **options)
        outcome = fine_tune(model, fold.support, recipe, how, method=method)
        outcomes.append(tested(outcome))
        if on_fold is not None:
            on_fold(outcome)
    return Tuned(
        Spread(tuple(outcome.last for outcome in outcomes)),
        Spread(tuple(outcome.best for outcome in outcomes)),
    )


def _part(
    objects: ObjectSet, chosen: np.ndarray, count: int, rng: np.random.Generator
) -> ObjectSet:
    rows = [rng.permutation(np.flatnonzero(objects.labels == label))[:count] for label in chosen]
    some = objects.take(np.concatenate(rows))
    names = tuple(objects.classes[label] for label in chosen)
    return replace(some, labels=np.repeat(np.arange(len(chosen)), count), classes=names)

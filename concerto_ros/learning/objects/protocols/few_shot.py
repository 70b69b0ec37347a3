# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""w-way s-shot: a few classes from a few examples each, on ten folds."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from concerto_ros.learning.objects.data.object_set import ObjectSet
from concerto_ros.learning.objects.protocols.linear_svm import linear_svm
from concerto_ros.learning.objects.training.fine_tune import fine_tune
from concerto_ros.learning.objects.training.recipes import ObjectTrainingConfig, SvmRecipe
from concerto_ros.learning.objects.training.scores import Spread
from concerto_ros.learning.objects.training.training_run import ObjectTrainingResult, RunOptions
from concerto_ros.objects.encoders.shared.base import ObjectEncoder

#: As published: folds, and objects of each class that are to be named.
FOLDS, QUERIES = 10, 20


@dataclass(frozen=True, eq=False)
class Fold:
    """Objects to learn from and objects to name, of the same few classes."""

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
    """``count`` random choices of ``way`` classes, ``shot`` objects of ``train`` and ``queries``
    of ``test`` of each, labelled 0 to way - 1.

    Raises:
        ValueError: If too few classes have as many objects.
    """
    for name, value, least in (("way", way, 2), ("shot", shot, 1), ("queries", queries, 1)):
        if value < least:
            raise ValueError(f"{name} is {value}, expected at least {least}")
    classes = range(len(train.classes))
    enough = [
        np.bincount(one.labels, minlength=len(train.classes)) >= wanted
        for one, wanted in ((train, shot), (test, queries))
    ]
    fit = [label for label in classes if enough[0][label] and enough[1][label]]
    if len(fit) < way:
        raise ValueError(
            f"{len(fit)} classes have {shot} objects in {train.name} and {queries} in"
            f" {test.name}, expected {way}"
        )
    for fold in range(count):
        rng = np.random.default_rng((seed, fold))
        chosen = rng.permutation(fit)[:way]
        yield Fold(_part(train, chosen, shot, rng), _part(test, chosen, queries, rng))


def few_shot_svm(
    encoder: ObjectEncoder, parts: Iterator[Fold], recipe: SvmRecipe, **where
) -> Spread:
    """A linear SVM on frozen features, fold by fold.

    Args:
        where: ``device``, as for its protocol.
    """
    values = [
        linear_svm(encoder, fold.support, fold.queries, recipe, **where).accuracy for fold in parts
    ]
    return Spread(tuple(values))


@dataclass(frozen=True)
class Tuned:
    """Accuracies of folds after the last epoch, and after the epoch that was best on each.

    Published numbers are such best ones, chosen by the queries themselves.
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
    **options,
) -> Tuned:
    """Fine-tuning, each fold from the weights that ``encoder`` has now.

    Args:
        test_every: Queries are scored every so many epochs and after the last; None: after the
            last alone.
        on_fold: Called with the outcome of each fold.
        options: ``device``, ``seed``, as of ``RunOptions``.
    """
    every = recipe.epochs + 1 if test_every is None else test_every
    outcomes = []
    for fold in parts:
        model = copy.deepcopy(encoder)
        how = RunOptions(test=fold.queries, test_every=every, **options)
        outcome = fine_tune(model, fold.support, recipe, how, method=method)
        outcomes.append(outcome)
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

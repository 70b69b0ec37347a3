# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Fine-tunings and linear SVMs as the authors of each encoder published them.

An encoder states its own numbers (``ObjectEncoder.fine_tuning`` and ``linear_svm``); their meaning
is defined here.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from concerto_ros.learning.objects.names import METHODS as METHODS
from concerto_ros.objects.encoders.shared.base import ObjectEncoder
from concerto_ros.objects.encoders.shared.benchmarks import Benchmark

#: Fields that the states of runs of version 0.1 do not have.
SINCE_0_1 = ("change_first", "extra_epochs", "cosine", "lag")


@dataclass(frozen=True)
class SvmRecipe:
    """A linear SVM of scikit-learn; other arguments keep their defaults.

    Attributes:
        one_vs_one: ``SVC(kernel="linear")``, hinge loss, one against one; else ``LinearSVC``,
            squared hinge loss, one against the rest.
        c: Its C.
        first: Whether it takes the first points of a cloud instead of the farthest.
    """

    one_vs_one: bool
    c: float
    first: bool = False


@dataclass(frozen=True)
class ObjectTrainingConfig:
    """A fine-tuning: AdamW, linear warm-up, then one cosine, the rate set once an epoch.

    Attributes:
        learning_rate: Peak learning rate.
        change: The augmentation, a name in :data:`CHANGES` of ``fine_tune``.
        change_first: Whether all points are augmented before those of a step are drawn.
        head_factor: Multiplies the rate of parameters with "cls" in their names.
        smoothing: Share of the target that is spread over the other classes.
        epochs: Number of epochs, without extra ones.
        extra_epochs: Epochs after these, at the end rate; most published loops run one.
        cosine: Length of the cosine in epochs where it does not end with the run; None: it does.
        lag: Epochs by which the rate follows later than the schedule says.
        warm_up: Epochs of warm-up.
        start_rate: Learning rate at the start of the warm-up.
        end_rate: Learning rate at the end of the cosine.
        weight_decay: Of AdamW.
        batch_size: Objects of a step.
        clip: Maximum norm of the gradient.
        drop_path: Stochastic depth: how often branches of the last block are skipped.
    """

    learning_rate: float
    change: str
    change_first: bool = False
    head_factor: float = 1.0
    smoothing: float = 0.0
    epochs: int = 300
    extra_epochs: int = 1
    cosine: int | None = None
    lag: int = 0
    warm_up: int = 10
    start_rate: float = 1e-6
    end_rate: float = 1e-6
    weight_decay: float = 0.05
    batch_size: int = 32
    clip: float = 10.0
    drop_path: float = 0.0

    def rate(self, epoch: int, highest: float) -> float:
        """Return the learning rate in an epoch, for parameters whose peak rate is ``highest``."""
        epoch = max(0, epoch - self.lag)
        if epoch < self.warm_up:
            return self.start_rate + (highest - self.start_rate) * epoch / self.warm_up
        phase = min(1.0, epoch / (self.cosine or self.epochs))
        return self.end_rate + (highest - self.end_rate) * (1 + math.cos(math.pi * phase)) / 2

    def identity(self) -> dict[str, Any]:
        """Tell this recipe from others, for a run that resumes, also one of version 0.1."""
        usual = {one.name: one.default for one in fields(self) if one.name in SINCE_0_1}
        values = {**asdict(self), "tokens_decay": False}  # which 0.1 had
        return {n: v for n, v in values.items() if n not in usual or v != usual[n]}

    def shortened(self, epochs: int) -> ObjectTrainingConfig:
        """Return the same with other epochs, at most a tenth of them for warm-up.

        A cosine that is longer than the run keeps its length relative to it.

        Raises:
            ValueError: If ``epochs`` is below 1.
        """
        if epochs < 1:
            raise ValueError(f"epochs is {epochs}, expected at least 1")
        cosine = None if self.cosine is None else round(self.cosine * epochs / self.epochs)
        warm_up = min(self.warm_up, epochs // 10)
        return replace(self, epochs=epochs, warm_up=warm_up, cosine=cosine)


def benchmark_of(layout: str) -> Benchmark:
    """Return the published benchmark that a layout of files holds."""
    found = (benchmark for benchmark in Benchmark if layout.startswith(benchmark.value))
    return next(found, Benchmark.OTHER)


def svm_recipe(encoder: ObjectEncoder | type[ObjectEncoder], layout: str) -> SvmRecipe:
    """Return the published SVM, ReCon's where an encoder or a benchmark has no other."""
    return SvmRecipe(**encoder.linear_svm(benchmark_of(layout)))


def recipe_for(
    encoder: ObjectEncoder | type[ObjectEncoder],
    method: str,
    layout: str,
    *,
    points: int | None = None,
    few_shot: bool = False,
) -> ObjectTrainingConfig:
    """Return the published fine-tuning; that of ScanObjectNN for other data.

    Args:
        encoder: The encoder or its class.
        method: One of its ``training_methods``.
        layout: Layout of the data set.
        points: Points of an object; None for the number that most recipes use.
        few_shot: Whether it is for few-shot folds.

    Raises:
        ValueError: If the encoder's authors published no such method.
    """
    if method not in encoder.training_methods:
        known = ", ".join(encoder.training_methods) or "none: it is only trained with words"
        raise ValueError(f"{encoder.name} has no published recipe for {method!r}; it has {known}")
    benchmark = benchmark_of(layout)
    return ObjectTrainingConfig(**encoder.fine_tuning(method, benchmark, points, few_shot))

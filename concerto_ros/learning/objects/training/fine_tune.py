# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Fine-tuning an object encoder with its head, as published; see ``recipes`` for what differs."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn

from concerto_ros.learning.objects.data.object_set import ObjectSet
from concerto_ros.learning.objects.training.augment import (
    random_rotation,
    random_scale_and_shift,
    rotate_about_y,
    scale_and_shift,
)
from concerto_ros.learning.objects.training.embedding import (
    as_taken,
    centred,
    classify_objects,
    draw,
)
from concerto_ros.learning.objects.training.losses import smoothed_cross_entropy
from concerto_ros.learning.objects.training.recipes import ObjectTrainingConfig
from concerto_ros.learning.objects.training.scores import Accuracy
from concerto_ros.learning.objects.training.training_run import (
    DEFAULT_OPTIONS,
    ObjectTrainingResult,
    RunOptions,
    TrainingRun,
)
from concerto_ros.learning.objects.training.view_voting import CANDIDATES
from concerto_ros.objects.encoders.shared.base import ObjectEncoder
from concerto_ros.objects.encoders.shared.sampling import gather_rows
from concerto_ros.ptv3.kernels.host_copies import sent

#: Bounds of the scale of each axis for ScanObjectNN in I2P-MAE's and Any2Point's trainings.
STRETCH = (0.9, 1.1)


def _stretch(points: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    low, high = STRETCH
    scale = low + (high - low) * torch.rand(len(points), 3, generator=generator)
    return scale_and_shift(points, scale.to(points.device), points.new_zeros(1, 3))


def _stretch_turn(points: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return random_rotation(_stretch(points, generator), generator)


def _stretch_turn_together(points: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    points = _stretch(points, generator)
    angle = 2 * math.pi * torch.rand(1, generator=generator)
    return rotate_about_y(points, angle.to(points.device).expand(len(points)))


#: Augmentations of clouds (B, N, 3), drawn again for each batch.
CHANGES: dict[str, Callable[[torch.Tensor, torch.Generator], torch.Tensor]] = {
    "scale_shift": random_scale_and_shift,
    "turn": random_rotation,
    "stretch_turn": _stretch_turn,
    "stretch_turn_together": _stretch_turn_together,
}


def rate_and_decay(
    name: str, value: nn.Parameter, recipe: ObjectTrainingConfig
) -> tuple[float, float]:
    """Return peak learning rate and weight decay of a parameter.

    Names with "cls" in them decay where the recipe gives them a rate of their own; vectors, biases
    and names with "token" in them do not.
    """
    if recipe.head_factor != 1 and "cls" in name:
        return recipe.head_factor * recipe.learning_rate, recipe.weight_decay
    fixed = value.ndim <= 1 or name.endswith(".bias") or "token" in name
    return recipe.learning_rate, 0.0 if fixed else recipe.weight_decay


def fine_tune(
    encoder: ObjectEncoder,
    train: ObjectSet,
    recipe: ObjectTrainingConfig,
    options: RunOptions = DEFAULT_OPTIONS,
    *,
    method: str = "full",
) -> ObjectTrainingResult:
    """Train ``encoder``, which has a head for the classes of ``train``, in place.

    A batch is drawn from the farthest points of each cloud, the same rows of all, and augmented by
    the recipe. As published, the points of a cloud are in another order each time, so that others
    are the farthest. An incomplete last batch of an epoch is skipped. Scores are shares of objects
    that are right.

    Args:
        encoder: The encoder with its head.
        train: The training objects.
        recipe: The fine-tuning.
        options: How the run goes.
        method: What to train, one of the encoder's ``training_methods``.

    Raises:
        ValueError: If the encoder has no head for all classes, or the folder holds the state of
            another run.
    """
    if encoder.classes is None or encoder.classes < len(train.classes):
        raise ValueError(
            f"the head has {encoder.classes} classes, expected {len(train.classes)} for"
            f" {train.name}; reset_head makes a new one"
        )
    return _Classification(encoder, train, recipe, options, method).to_the_end()


class _Classification(TrainingRun[ObjectEncoder]):
    """One fine-tuning; see :func:`fine_tune`."""

    def __init__(
        self,
        encoder: ObjectEncoder,
        train: ObjectSet,
        recipe: ObjectTrainingConfig,
        options: RunOptions,
        method: str,
    ):
        parameters = encoder.trained_parameters(method)
        super().__init__(encoder, train, recipe, parameters, rate_and_decay, options, method)
        count = CANDIDATES.get(encoder.points, encoder.points * 6 // 5)
        self.count = max(min(count, train.points.shape[1]), encoder.points)
        self.points, self.prepared = torch.from_numpy(train.points), train.prepared
        self.labels = torch.from_numpy(train.labels)

    def batch(
        self, rows: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        change = CHANGES[self.recipe.change]
        points = sent(self.points[rows], self.device)
        if not self.prepared and points.shape[1] > self.count:
            order = torch.rand(points.shape[:2], generator=generator).argsort(1)
            points = gather_rows(points, sent(order, self.device))
        points = centred(points, self.model.form)
        if self.recipe.change_first:
            points = change(points, generator)
        points = draw(points, self.model.form, self.count, first=self.prepared)
        drawn = torch.randperm(points.shape[1], generator=generator)[: self.model.points]
        points = points[:, sent(drawn, self.device)]
        if not self.recipe.change_first:
            points = change(points, generator)
        return as_taken(points, self.model), sent(self.labels[rows], self.device)

    def loss(
        self, batch: tuple[torch.Tensor, torch.Tensor], generator: torch.Generator
    ) -> torch.Tensor:
        points, labels = batch
        return smoothed_cross_entropy(self.model.classify(points), labels, self.recipe.smoothing)

    def score(self, test: ObjectSet) -> float:
        guesses = classify_objects(self.model, test, device=self.device).argmax(1)
        return Accuracy.of(guesses, test.labels, len(test.classes)).accuracy

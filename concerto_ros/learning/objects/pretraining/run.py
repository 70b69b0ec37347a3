# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What all pre-trainings of object encoders share: a run on shapes, judged by a function.

A method derives from :class:`PretrainingRun` and states its losses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from concerto_ros.files.torch_file import write_file
from concerto_ros.learning.objects.data.shape_set import ShapeSet
from concerto_ros.learning.objects.training.fine_tune import CHANGES, rate_and_decay
from concerto_ros.learning.objects.training.recipes import ObjectTrainingConfig
from concerto_ros.learning.objects.training.training_run import (
    Model,
    RunOptions,
    TrainingRun,
)
from concerto_ros.objects.encoders.shared.weights import State
from concerto_ros.ptv3.kernels.host_copies import sent


class PretrainingRun(TrainingRun[Model]):
    """One pre-training of a whole model; ``test`` of the options is a function of the model.

    That function returns a score, higher is better, such as the accuracy of a linear SVM on the
    frozen features.

    Args:
        model: Trained in place.
        shapes: What it learns from.
        recipe: Optimizer, schedule and augmentation.
        points: Points that are drawn of each shape in each epoch.
        options: How the run goes.
        method: Name of the pre-training; a run of another one does not resume this one.
    """

    def __init__(
        self,
        model: Model,
        shapes: ShapeSet,
        recipe: ObjectTrainingConfig,
        points: int,
        options: RunOptions,
        method: str,
    ):
        parameters = dict(model.named_parameters())
        super().__init__(model, shapes, recipe, parameters, rate_and_decay, options, method)
        self.shapes, self.points = shapes, points

    def draw(self, rows: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Draw augmented clouds (B, points, 3) of the shapes at ``rows``, on the device."""
        clouds = self.shapes.draw(rows.tolist(), self.points, generator)
        return CHANGES[self.recipe.change](sent(clouds, self.device), generator)

    def score(self, test: Callable[[nn.Module], float]) -> float:
        """Return what the function says of the model."""
        return test(self.model)


def judged_by_loss(
    count: int,
    batch_size: int,
    seed: int,
    losses: Callable[[Any, torch.Tensor, torch.Generator], dict[str, torch.Tensor]],
) -> Callable[[nn.Module], float]:
    """Return a function that scores a model by its loss on other shapes, the lower the better.

    Args:
        count: Number of the shapes, which are not trained on.
        batch_size: Shapes at a time.
        seed: Of all that ``losses`` draws, the same each time.
        losses: From the model, (B,) positions of shapes and a generator on the CPU to the losses,
            means over these shapes that are to be added.
    """

    @torch.inference_mode()
    def score(model: nn.Module) -> float:
        model.eval()
        generator = torch.Generator().manual_seed(seed)
        total = 0.0
        for rows in torch.arange(count).split(batch_size):
            total += float(sum(losses(model, rows, generator).values())) * len(rows)
        return -total / count

    return score


def save_pretrained(path: Path, state: State, facts: Mapping[str, Any] | None = None) -> None:
    """Write a pre-training file in the wrapping of the official ones.

    Args:
        path: The file.
        state: The state dict.
        facts: What the encoder needs beside it, see ``ObjectEncoder.stored_facts``.
    """
    weights = {name: value.detach().cpu().clone() for name, value in state.items()}
    write_file(path, {"base_model": weights, **(facts or {})})

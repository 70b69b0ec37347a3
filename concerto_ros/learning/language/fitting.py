# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the trainings of language heads share: their options, the steps, and the temperature."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from concerto_ros.learning.language.config import SOLVERS as SOLVERS
from concerto_ros.learning.language.config import LanguageConfig
from concerto_ros.learning.language.samples import VoxelSamples, join_voxels
from concerto_ros.learning.training.schedule import Schedule
from concerto_ros.learning.training.temperature import fit_temperature, scored
from concerto_ros.learning.training.trainer import Trainer, TrainingResult


def run_steps(
    model: nn.Module,
    training: Sequence[Any],
    validation: VoxelSamples,
    join: Callable[..., Any],
    loss: Callable[..., torch.Tensor],
    config: LanguageConfig,
    *,
    num_classes: int,
    identity: dict[str, Any],
) -> TrainingResult:
    """Train by steps of AdamW, or go on with the run whose state is in the folder.

    Args:
        model: Gives logits of classes in evaluation mode.
        training: Items of the training set.
        validation: Labelled voxels to choose the weights by; may be empty.
        join: Makes a batch of items, of both kinds.
        loss: Of what the model gives in training, and a batch.
        config: Options.
        num_classes: Classes of the validation.
        identity: What the result depends on beside the options; only a run of the same resumes.

    Raises:
        ValueError: The folder has the state of another run.
    """
    trainer = Trainer(
        model,
        training,
        join,
        num_classes=num_classes,
        steps=config.steps,
        batch_size=config.batch_size,
        schedule=Schedule(learning_rate=config.learning_rate, weight_decay=config.weight_decay),
        loss=loss,
        validation=validation,
        validate_every=config.validate_every,
        folder=config.folder,
        checkpoint_every=config.checkpoint_every,
        minutes=config.minutes,
        seed=config.seed,
        identity=identity,
        device=next(model.parameters()).device,
        progress=config.progress,
    )
    return trainer.run()


@torch.inference_mode()
def fitted_temperature(model: nn.Module, validation: VoxelSamples, usual: float) -> float:
    """The temperature at which probabilities of classes are right.

    Args:
        model: Gives logits, which are cosines divided by ``usual``, in evaluation mode.
        validation: Labelled voxels.
        usual: Returned where no voxel has a label.
    """
    if not len(validation):
        return usual
    model.eval()
    device = next(model.parameters()).device
    batches = (join_voxels([voxels]).to(device) for voxels in validation)
    voxels = scored((model(batch) * usual, batch.labels) for batch in batches)
    return fit_temperature(*voxels) if len(voxels.labels) else usual

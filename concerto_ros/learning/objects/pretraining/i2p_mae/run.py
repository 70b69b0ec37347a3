# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pre-training of I2P-MAE by a recipe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace

import torch
from torch import nn

from concerto_ros.learning.objects.data.shape_set import ShapeSet
from concerto_ros.learning.objects.pretraining.i2p_mae.guides import Guide
from concerto_ros.learning.objects.pretraining.i2p_mae.masking import draw_order, visible_groups
from concerto_ros.learning.objects.pretraining.i2p_mae.network import (
    Guidance,
    I2PMAEPretraining,
    Reconstruction,
    centre_saliency,
)
from concerto_ros.learning.objects.pretraining.i2p_mae.recipe import I2PMAERecipe
from concerto_ros.learning.objects.pretraining.run import PretrainingRun, judged_by_loss
from concerto_ros.learning.objects.training.fine_tune import CHANGES
from concerto_ros.learning.objects.training.training_run import (
    ObjectTrainingResult,
    RunOptions,
    residual_branches,
)
from concerto_ros.objects.encoders.i2p_mae.encoder import I2PMAE
from concerto_ros.objects.encoders.shared.preprocess import unit_sphere
from concerto_ros.ptv3.kernels.host_copies import sent


def new_model(recipe: I2PMAERecipe, guide: Guide | None, seed: int = 0) -> I2PMAEPretraining:
    """Build an untrained model, its weights by ``seed``.

    Raises:
        ValueError: If the recipe needs a guide and there is none.
    """
    if guide is None and recipe.guidance != "none":
        raise ValueError(
            f"guidance is {recipe.guidance!r} without an image model or files of its features;"
            " name one, or choose guidance 'none'"
        )
    features = guide.channels if guide is not None and recipe.guided_targets else 0
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return I2PMAEPretraining(recipe.widths, recipe.grouping, recipe.decoder, features)


def pretrain_i2p_mae(
    model: I2PMAEPretraining,
    shapes: ShapeSet,
    guide: Guide | None,
    recipe: I2PMAERecipe,
    options: RunOptions,
) -> ObjectTrainingResult:
    """Train ``model``, as of :func:`new_model`, in place.

    Args:
        model: The model.
        shapes: What it learns from.
        guide: The image model for these shapes; None for guidance "none".
        recipe: How it is trained.
        options: How the run goes; ``test`` is a function of the model, or None.

    Raises:
        ValueError: If the folder holds the state of another run, or a number is no longer finite.
    """
    own = {name: value for name, value in asdict(recipe).items() if name != "training"}
    about = {"pre-training": own, "guide": None if guide is None else guide.identity()}
    options = replace(options, about={**options.about, **about})
    return _Run(model, shapes, guide, recipe, options).to_the_end()


def encoder_in(model: I2PMAEPretraining, points: int) -> I2PMAE:
    """Return the encoder that is being pre-trained, for a linear SVM; it shares its weights."""
    encoder = I2PMAE(model.widths, model.h_encoder.grouping, points)
    encoder.h_encoder = model.h_encoder
    return encoder


def held_out(
    shapes: ShapeSet, guide: Guide | None, recipe: I2PMAERecipe, seed: int = 0
) -> Callable[[nn.Module], float]:
    """Return a function that scores a model by its loss on other shapes, the lower the better.

    Args:
        shapes: Shapes that are not trained on.
        guide: The image model for these shapes.
        recipe: How the model is trained.
        seed: Of points and masks, the same each time.
    """

    def losses(
        model: I2PMAEPretraining, rows: torch.Tensor, generator: torch.Generator
    ) -> dict[str, torch.Tensor]:
        numbers = rows.tolist()
        drawn = shapes.sample(numbers, recipe.points, generator)
        points = unit_sphere(drawn).to(model.mask_token.device)
        guidance = guided(guide, recipe, numbers, drawn, points)
        return reconstruct(model, recipe, points, guidance, generator).losses()

    return judged_by_loss(len(shapes), recipe.training.batch_size, seed, losses)


def guided(
    guide: Guide | None,
    recipe: I2PMAERecipe,
    rows: list[int],
    drawn: torch.Tensor,
    points: torch.Tensor,
) -> Guidance | None:
    """Ask the image model about clouds, if the recipe uses it.

    Args:
        guide: The image model.
        recipe: For what it is used.
        rows: B positions of the shapes.
        drawn: (B, N, 3) their points as they are stored.
        points: (B, N, 3) the same as the network takes them.
    """
    if guide is None or recipe.guidance == "none":
        return None
    return guide.guide(rows, drawn, points)


def reconstruct(
    model: I2PMAEPretraining,
    recipe: I2PMAERecipe,
    points: torch.Tensor,
    guidance: Guidance | None,
    generator: torch.Generator,
) -> Reconstruction:
    """Mask clouds and reconstruct them.

    Args:
        model: The model.
        recipe: How clouds are masked, and for what the image model is used.
        points: (B, N, 3) as the network takes them.
        guidance: Of the image model, as of :func:`guided`.
        generator: Random generator on the CPU.
    """
    levels = model.h_encoder.geometry(points)
    saliency = points.new_zeros(levels[-1].rows.shape)
    if guidance is not None and recipe.guided_masking:
        saliency = centre_saliency(guidance, levels[-1])
    visible = visible_groups(draw_order(saliency, generator), recipe.mask_ratio)
    taught = guidance if recipe.guided_targets else None
    return model(points, levels, visible.to(points.device), taught)


class _Run(PretrainingRun[I2PMAEPretraining]):
    """One pre-training; see :func:`pretrain_i2p_mae`."""

    def __init__(
        self,
        model: I2PMAEPretraining,
        shapes: ShapeSet,
        guide: Guide | None,
        recipe: I2PMAERecipe,
        options: RunOptions,
    ):
        training = recipe.training
        super().__init__(model, shapes, training, recipe.points, options, "pretrain i2p-mae")
        self.guide, self.how = guide, recipe

    def towers(self) -> list[list[list[nn.Module]]]:
        return [residual_branches(part) for part in (self.model.h_encoder, self.model.h_decoder)]

    def batch(
        self, rows: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, Guidance | None]:
        numbers = rows.tolist()
        drawn = self.shapes.sample(numbers, self.points, generator)
        points = sent(unit_sphere(drawn), self.device)
        points = CHANGES[self.recipe.change](points, generator)
        return points, guided(self.guide, self.how, numbers, drawn, points)

    def loss(
        self, batch: tuple[torch.Tensor, Guidance | None], generator: torch.Generator
    ) -> dict[str, torch.Tensor]:
        return reconstruct(self.model, self.how, *batch, generator).losses()

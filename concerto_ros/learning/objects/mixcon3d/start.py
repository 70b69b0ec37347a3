# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The model that a training of MixCon3D starts from."""

from __future__ import annotations

from pathlib import Path

import torch

from concerto_ros.learning.objects.data.openshape import TrainingSplit
from concerto_ros.learning.objects.mixcon3d.contrast import (
    ContrastModel,
    check_backbone,
    new_encoder,
)
from concerto_ros.learning.objects.mixcon3d.recipe import ContrastRecipe
from concerto_ros.objects.encoders.loading import load_object_encoder
from concerto_ros.objects.encoders.mixcon3d.encoder import MixCon3D


def start_contrast(
    split: TrainingSplit,
    recipe: ContrastRecipe,
    checkpoint: Path | None = None,
    *,
    backbone: str = "PointBERT",
    seed: int = 0,
) -> ContrastModel:
    """Build the model: untrained, or with the live weights of a file of MixCon3D or OpenShape.

    Args:
        split: The training data; the first shape tells the width of the vectors.
        recipe: The training.
        checkpoint: The file; None for random weights.
        backbone: The paper's backbone, see ``check_backbone``.
        seed: Of new weights.

    Raises:
        ValueError: If the backbone is not implemented, or the file cannot be read or does not fit.
    """
    check_backbone(backbone)
    channels = split[0].images().shape[1]
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        if checkpoint is None:
            encoder = new_encoder(recipe.size, channels, recipe.points)
        else:
            options = {"weights": "live", "points": recipe.points}
            loaded = load_object_encoder(checkpoint, model="mixcon3d", **options)
            assert isinstance(loaded, MixCon3D)
            encoder = loaded.requires_grad_(True)
            if encoder.feature_channels != channels:
                raise ValueError(
                    f"{checkpoint} has vectors of {encoder.feature_channels} channels, expected"
                    f" {channels} as in {split[0].path}"
                )
        return ContrastModel(encoder, fusion=recipe.fusion)

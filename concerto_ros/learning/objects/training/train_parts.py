# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Training of part segmentation with ReCon on ShapeNetPart, as published.

The published loop takes two steps of the optimiser for each batch, the first before the gradient
is clipped; here it is one, after.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from torch import nn

from concerto_ros.files.torch_file import write_file
from concerto_ros.learning.objects.data.object_set import ObjectSet
from concerto_ros.learning.objects.training.augment import scale_and_shift
from concerto_ros.learning.objects.training.part_metric import PARTS, PartScore, score_parts
from concerto_ros.learning.objects.training.recipes import ObjectTrainingConfig
from concerto_ros.learning.objects.training.recon_parts import (
    GROUP_SIZE,
    GROUPS,
    ReConParts,
    from_state,
)
from concerto_ros.learning.objects.training.training_run import (
    DEFAULT_OPTIONS,
    ObjectTrainingResult,
    RunOptions,
    TrainingRun,
)
from concerto_ros.objects.encoders.recon import encoder as recon
from concerto_ros.objects.encoders.recon.transformer import ReConShape
from concerto_ros.objects.encoders.shared.weights import load_weights, read_weights
from concerto_ros.ptv3.checkpoint import CheckpointError

RECIPE = ObjectTrainingConfig(1e-4, "scale_shift", head_factor=10.0, batch_size=16, drop_path=0.1)

#: Bounds of the scale of each axis and of its shift in training.
SCALE, SHIFT = (0.8, 1.25), 0.1

#: Objects of a batch at evaluation.
BATCH_SIZE = 16


def start_parts(
    path: str | os.PathLike,
    *,
    heads: int | None = None,
    groups: int = GROUPS,
    group_size: int = GROUP_SIZE,
    seed: int = 0,
) -> ReConParts:
    """Build a model to train: a ReCon file's trunk with a new head, or a part segmentation file.

    Args:
        path: The file.
        heads: Attention heads of every block; None for heads of the official width.
        groups: Number of patches.
        group_size: Points of a patch.
        seed: Of the new head.

    Raises:
        CheckpointError: If the file cannot be read or is of another model.
    """
    state = read_weights(path)
    if "convs3.weight" in state:
        return from_state(state, Path(path), heads=heads, groups=groups, group_size=group_size)
    if not recon.matches(state):
        raise CheckpointError(
            f"{path} is not a checkpoint of ReCon, expected one to start part segmentation from"
        )
    state = {
        name: value
        for name, value in recon.encoder_part(state).items()
        if not name.startswith(recon.EXTRAS)
    }
    shape = ReConShape.of_state(state, groups=groups, group_size=group_size, heads=heads)
    width = shape.width
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        model = ReConParts(shape, propagation=(4 * width, 1024))
    load_weights(model.trunk, state, Path(path))
    return model


def rate_and_decay(
    name: str, value: nn.Parameter, recipe: ObjectTrainingConfig
) -> tuple[float, float]:
    """Return peak learning rate and weight decay of a parameter.

    Names with "conv" but not "encoder" have a higher rate; vectors and biases do not decay.
    """
    fast = "conv" in name and "encoder" not in name
    rate = recipe.learning_rate * (recipe.head_factor if fast else 1.0)
    return rate, 0.0 if value.ndim <= 1 or name.endswith(".bias") else recipe.weight_decay


def train_parts(
    model: ReConParts,
    train: ObjectSet,
    recipe: ObjectTrainingConfig = RECIPE,
    options: RunOptions = DEFAULT_OPTIONS,
) -> ObjectTrainingResult:
    """Train ``model`` in place; scores are instance mIoU.

    Raises:
        ValueError: If the data has no labels of points or other categories than ShapeNetPart, or
            the folder holds the state of another run.
    """
    categories(train)
    return _Parts(model, train, recipe, options).to_the_end()


@torch.inference_mode()
def evaluate_parts(
    model: ReConParts, objects: ObjectSet, device: torch.device | str = "cpu"
) -> PartScore:
    """Compute the published scores.

    Raises:
        ValueError: If the data has no labels of points or other categories than ShapeNetPart.
    """
    model = model.to(device).eval()
    numbers, points = categories(objects), torch.from_numpy(objects.points)
    batches = zip(points.split(BATCH_SIZE), numbers.split(BATCH_SIZE), strict=True)
    scores = [model(clouds.to(device), category.to(device)) for clouds, category in batches]
    return score_parts(torch.cat(scores).cpu().numpy(), _point_labels(objects))


def categories(objects: ObjectSet) -> torch.Tensor:
    """Return (S,) int64, the category of each object in alphabetical order, as the model counts.

    Raises:
        ValueError: If the data has no labels of points or other categories than ShapeNetPart.
    """
    _point_labels(objects)
    names = list(PARTS)
    unknown = [name for name in objects.classes if name not in names]
    if unknown:
        raise ValueError(
            f"{objects.name}: {unknown[0]!r} is not a category of ShapeNetPart, expected one of"
            f" {', '.join(names)}"
        )
    order = np.array([names.index(name) for name in objects.classes])
    return torch.from_numpy(order[objects.labels])


def _point_labels(objects: ObjectSet) -> np.ndarray:
    if objects.point_labels is None:
        raise ValueError(f"{objects.name} has no labels of points, expected shapenetpart")
    return objects.point_labels


def save_parts(path: Path, model: ReConParts) -> None:
    """Write the model in the form of official files; ``load_recon_parts`` reads it back."""
    state = {
        name.removeprefix("trunk."): value.detach().cpu().clone()
        for name, value in model.state_dict().items()
    }
    write_file(path, {"model_state_dict": state})


class _Parts(TrainingRun[ReConParts]):
    """One training; see :func:`train_parts`."""

    def __init__(
        self,
        model: ReConParts,
        train: ObjectSet,
        recipe: ObjectTrainingConfig,
        options: RunOptions,
    ):
        parameters = dict(model.named_parameters())
        super().__init__(model, train, recipe, parameters, rate_and_decay, options, "parts")
        self.points = torch.from_numpy(train.points).to(self.device)
        self.categories = categories(train).to(self.device)
        self.labels = torch.from_numpy(_point_labels(train)).to(self.device)

    def loss(self, rows: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        scale, shift = torch.rand(2, len(rows), 3, generator=generator).to(self.device)
        scale = SCALE[0] + (SCALE[1] - SCALE[0]) * scale
        points = scale_and_shift(self.points[rows], scale, SHIFT * (2 * shift - 1))
        scores = self.model(points, self.categories[rows])
        return nn.functional.nll_loss(scores.flatten(0, 1), self.labels[rows].flatten())

    def score(self, test: ObjectSet) -> float:
        return evaluate_parts(self.model, test, self.device).instance_iou

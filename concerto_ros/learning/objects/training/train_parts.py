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
from concerto_ros.ptv3.kernels.host_copies import sent

RECIPE = ObjectTrainingConfig(
    1e-4, "scale_shift", head_factor=10.0, batch_size=16, drop_path=0.1, lag=1, extra_epochs=0
)

#: Bounds of the scale, one for all axes, and of the shift of each axis in training.
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

    Names with "conv" but not "encoder" have a higher rate and decay, their biases too; of the
    others, vectors, biases and names with "token" in them do not decay.
    """
    if "conv" in name and "encoder" not in name:
        return recipe.head_factor * recipe.learning_rate, recipe.weight_decay
    fixed = value.ndim <= 1 or name.endswith(".bias") or "token" in name
    return recipe.learning_rate, 0.0 if fixed else recipe.weight_decay


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
    model: ReConParts,
    objects: ObjectSet,
    device: torch.device | str = "cpu",
    *,
    passes: int = 1,
    seed: int = 0,
) -> PartScore:
    """Compute the published scores.

    Args:
        model: The model.
        objects: The test set.
        device: Where the model runs.
        passes: Above 1, the mean of the scores of so many passes, after the first one with random
            scales as in training. ReCon published no vote for parts.
        seed: Of the random scales.

    Raises:
        ValueError: If the data has no labels of points or other categories than ShapeNetPart, or
            there are no passes.
    """
    if passes < 1:
        raise ValueError(f"passes is {passes}, expected at least 1")
    generator = torch.Generator().manual_seed(seed)
    model = model.to(device).eval()
    numbers, points = categories(objects), torch.from_numpy(objects.points)
    batches = zip(points.split(BATCH_SIZE), numbers.split(BATCH_SIZE), strict=True)
    scores = []
    for clouds, category in batches:
        clouds, category = clouds.to(device), category.to(device)
        total = model(clouds, category)
        for _ in range(passes - 1):
            total = total + model(clouds * _scales(len(clouds), generator).to(device), category)
        scores.append(total / passes)
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


def _scales(count: int, generator: torch.Generator) -> torch.Tensor:
    """Draw a scale for each object, (count, 1, 1)."""
    return SCALE[0] + (SCALE[1] - SCALE[0]) * torch.rand(count, 1, 1, generator=generator)


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
        self.points, self.whole = torch.from_numpy(train.points), train.whole
        self.labels = torch.from_numpy(_point_labels(train))
        self.categories = categories(train)

    def batch(
        self, rows: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        points, labels = self._drawn(rows, generator)
        scale = _scales(len(rows), generator).view(-1, 1).expand(-1, 3)
        shift = torch.rand(len(rows), 3, generator=generator)
        points = scale_and_shift(points, scale, SHIFT * (2 * shift - 1))
        device, category = self.device, self.categories[rows]
        return sent(points, device), sent(category, device), sent(labels, device)

    def loss(
        self, batch: tuple[torch.Tensor, torch.Tensor, torch.Tensor], generator: torch.Generator
    ) -> torch.Tensor:
        points, category, labels = batch
        scores = self.model(points, category)
        return nn.functional.nll_loss(scores.flatten(0, 1), labels.flatten())

    def _drawn(
        self, rows: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw points and their labels anew, with repetition, from all points of each object."""
        if self.whole is None:
            return self.points[rows], self.labels[rows]
        clouds = []
        for row in rows.tolist():
            cloud = torch.from_numpy(self.whole[row])
            drawn = torch.randint(len(cloud), (self.points.shape[1],), generator=generator)
            clouds.append(cloud[drawn])
        drawn_clouds = torch.stack(clouds)
        return drawn_clouds[..., :3], drawn_clouds[..., 3].long()

    def score(self, test: ObjectSet) -> float:
        return evaluate_parts(self.model, test, self.device).instance_iou

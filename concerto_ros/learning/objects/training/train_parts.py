# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Part segmentation with ReCon, trained as published, on ShapeNetPart.

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
    """A model to train: the trunk of a file of ReCon with a new head by ``seed``, or, from a file
    of part segmentation, all of it. The other keywords are what files do not tell.

    Raises:
        CheckpointError: For a file that cannot be read or is of another model.
    """
    state = read_weights(path)
    if "convs3.weight" in state:
        return from_state(state, Path(path), heads=heads, groups=groups, group_size=group_size)
    if not recon.matches(state):
        raise CheckpointError(
            f"{path} is no checkpoint of ReCon, expected one to start parts from"
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
    """Highest learning rate and weight decay of a parameter: names with "conv" but not "encoder"
    learn faster; vectors and biases do not decay.
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
        ValueError: For data without labels of points or of other categories than ShapeNetPart's,
            or a state of another run.
    """
    categories(train)
    return _Parts(model, train, recipe, options).to_the_end()


@torch.inference_mode()
def evaluate_parts(
    model: ReConParts, objects: ObjectSet, device: torch.device | str = "cpu"
) -> PartScore:
    """The published scores.

    Raises:
        ValueError: As :func:`train_parts`.
    """
    model = model.to(device).eval()
    kinds, points = categories(objects), torch.from_numpy(objects.points)
    batches = zip(points.split(BATCH_SIZE), kinds.split(BATCH_SIZE), strict=True)
    scores = [model(cloud.to(device), kind.to(device)) for cloud, kind in batches]
    return score_parts(torch.cat(scores).cpu().numpy(), objects.point_labels)


def categories(objects: ObjectSet) -> torch.Tensor:
    """(S,) int64, the category of each object as the model counts them: in alphabetical order."""
    if objects.point_labels is None:
        raise ValueError(f"{objects.name} has no labels of points, expected shapenetpart")
    names = list(PARTS)
    strange = [name for name in objects.classes if name not in names]
    if strange:
        raise ValueError(f"{objects.name}: {strange[0]!r} is no category of ShapeNetPart")
    order = np.array([names.index(name) for name in objects.classes])
    return torch.from_numpy(order[objects.labels])


def save_parts(path: Path, model: ReConParts) -> None:
    """Write the model as official files are; ``load_recon_parts`` reads it back."""
    state = {
        name.removeprefix("trunk."): value.detach().cpu().clone()
        for name, value in model.state_dict().items()
    }
    write_file(path, {"model_state_dict": state})


class _Parts(TrainingRun):
    """One training; see :func:`train_parts`."""

    def __init__(
        self,
        model: ReConParts,
        train: ObjectSet,
        recipe: ObjectTrainingConfig,
        options: RunOptions,
    ):
        learning = dict(model.named_parameters())
        super().__init__(model, train, recipe, learning, rate_and_decay, options, "parts")
        self.points = torch.from_numpy(train.points).to(self.device)
        self.kinds = categories(train).to(self.device)
        self.labels = torch.from_numpy(train.point_labels).to(self.device)

    def loss(self, rows: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        scale, shift = torch.rand(2, len(rows), 3, generator=generator).to(self.device)
        scale = SCALE[0] + (SCALE[1] - SCALE[0]) * scale
        points = scale_and_shift(self.points[rows], scale, SHIFT * (2 * shift - 1))
        scores = self.model(points, self.kinds[rows])
        return nn.functional.nll_loss(scores.flatten(0, 1), self.labels[rows].flatten())

    def score(self, test: ObjectSet) -> float:
        return evaluate_parts(self.model, test, self.device).instance_iou

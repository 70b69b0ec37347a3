# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The training of the bundled models.

``concerto-ros train demo`` repeats it, in some two hours on two cores.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from concerto_ros.heads.linear import LinearHead
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.learning.demo_model.calibration import fit_confidence, shift_biases
from concerto_ros.learning.demo_model.names import NamingSegmenter, bundled_names, naming_loss
from concerto_ros.learning.demo_model.recipe import INDOOR, Recipe
from concerto_ros.learning.methods.segmenter import Segmenter
from concerto_ros.learning.training.processes import run_in_processes
from concerto_ros.learning.training.trainer import Trainer, TrainingResult
from concerto_ros.ptv3 import load_encoder
from concerto_ros.ptv3.bundled import DEMO, NamesHead, demo_file, save_demo
from concerto_ros.ptv3.encoder import Encoder

#: The page with the measured accuracy; it exists in a source tree only.
DOCUMENT = "docs/demo_model.md"


def new_model(recipe: Recipe, names: int = 0) -> Segmenter:
    """Encoder and head before training; the weights depend only on the recipe's seed.

    Args:
        recipe: Which model.
        names: Number of fine names that it learns beside the classes.
    """
    with torch.random.fork_rng([]):
        torch.manual_seed(recipe.seed)
        encoder = Encoder(
            recipe.config,
            name="demo",
            grid_size=recipe.voxel_size,
            preset=recipe.preset,
            conventions=recipe.conventions,
        )
        head = LinearHead(sum(recipe.config.channels), len(recipe.classes), name="demo")
        return NamingSegmenter(encoder, head, names) if names else Segmenter(encoder, head)


def _is_hidden(name: str, value: torch.Tensor) -> bool:
    """Whether a parameter is a hidden layer's matrix or kernel, which Muon trains."""
    return value.ndim > 1 and not name.startswith(("encoder.embedding.", "head.", "name_head."))


def class_weights(
    data: Sequence[Scan], numbers: Mapping[str, int], scans: int = 400
) -> dict[str, torch.Tensor]:
    """Weights of the loss: the inverse square root of each class's frequency, with mean 1.

    Args:
        data: The scans; each is read once.
        numbers: For each attribute of a scan with the classes of its points, (N,), their number K;
            what is not less than K does not count.
        scans: Maximum number of scans whose points are counted.

    Returns:
        (K,) float32 by attribute.
    """
    counts = {name: np.zeros(number) for name, number in numbers.items()}
    for index in np.linspace(0, len(data) - 1, min(scans, len(data))).astype(int):
        scan = data[int(index)]
        for name, count in counts.items():
            count += np.bincount(getattr(scan, name), minlength=len(count))[: len(count)]
    return {name: _inverse_root(count) for name, count in counts.items()}


def _inverse_root(count: np.ndarray) -> torch.Tensor:
    weights = 1 / np.sqrt(np.maximum(count, 1) / count.sum() + 1e-3)
    return torch.from_numpy(weights / weights.mean()).float()


def train(
    folder: Path,
    recipe: Recipe = INDOOR,
    *,
    scenes: int | None = None,
    steps: int | None = None,
    minutes: float | None = None,
    device: str = "cpu",
    output: Path | None = None,
    names: Sequence[str] = (),
) -> TrainingResult:
    """Simulate scenes, train on them and write the model.

    Args:
        folder: Where the scans (some 3 MB per scene) and the state of the run are kept; if it has
            the state of a run, that one resumes.
        recipe: Which model, and how.
        scenes: Number of training scenes; None: those of the recipe.
        steps: Number of steps; None: those of the recipe.
        minutes: Time limit, with which the learning rate falls as well; None: no limit.
        device: Where to train; a CPU uses several processes.
        output: File to write; None: the bundled one.
        names: Fine names that the encoder learns beside the classes, of a recipe whose scenes
            have some; what it knows of them is written with the model.

    Returns:
        The result of the run.
    """
    seeds, classes = recipe.training_seeds[:scenes], len(recipe.classes)
    data: Sequence[Scan] = (
        recipe.named_scans(folder, seeds, names) if names else recipe.scans(folder, seeds)
    )
    held_out = recipe.scans(folder, recipe.validation_seeds)
    model = new_model(recipe, len(names))
    numbers = {"labels": classes} | ({"name_ids": len(names)} if names else {})
    weights = class_weights(data, numbers)
    options: dict[str, Any] = {"class_weights": weights["labels"]}
    if names:
        of_names = weights["name_ids"]
        loss = partial(naming_loss, class_weights=weights["labels"], name_weights=of_names)
        options = {"loss": loss}
    trainer = Trainer(
        model,
        data,
        recipe.collate(),
        final_collate=recipe.collate(large=True),
        num_classes=classes,
        steps=steps or recipe.steps,
        batch_size=recipe.batch_size,
        accumulate=recipe.batches,
        schedule=recipe.schedule,
        use_muon=_is_hidden,
        **options,
        average=recipe.average,
        validation=held_out,
        validate_every=2000,
        folder=folder,
        checkpoint_every=500,
        minutes=minutes,
        seed=recipe.seed,
        identity={"preset": recipe.preset},
        device=device,
    )
    if device == "cpu":
        result = run_in_processes(trainer, min(recipe.batches, os.cpu_count() or 1))
    else:
        result = trainer.run()
    shift_biases(model.cpu(), held_out, recipe.collate())
    fit_confidence(model, data, held_out, recipe.collate())
    named = NamesHead(names, model.name_head) if isinstance(model, NamingSegmenter) else None
    save_demo(model.encoder, model.head, output or demo_file(recipe.preset), named)
    return result


def renew_confidence(
    folder: Path, recipe: Recipe = INDOOR, *, scenes: int = 20, output: Path | None = None
) -> tuple[float, float]:
    """Fit temperature and familiarity of a bundled model again, without a training.

    All other weights stay as they are, bit for bit, and so do the labels.

    Args:
        folder: Where the scans are kept; missing ones are simulated.
        recipe: Which model.
        scenes: Number of training scenes whose features are familiar.
        output: File to write; None: the bundled one is replaced.

    Returns:
        The temperature, and the largest distance that is familiar.

    Raises:
        ValueError: There is no bundled model of the recipe's preset.
    """
    if not demo_file(recipe.preset).is_file():
        raise ValueError(
            f"{demo_file(recipe.preset)} does not exist; train the {recipe.preset} model first"
        )
    encoder = load_encoder(DEMO, preset=recipe.preset)
    head = LinearHead.load(DEMO, encoder)
    fit_confidence(
        Segmenter(encoder, head),
        recipe.scans(folder, recipe.training_seeds[:scenes]),
        recipe.scans(folder, recipe.validation_seeds),
        recipe.collate(),
    )
    save_demo(encoder, head, output or demo_file(recipe.preset), bundled_names(recipe.preset))
    assert head.familiarity is not None  # it was fitted
    return head.temperature, float(head.familiarity.threshold)

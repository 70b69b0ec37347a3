# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Shape, training and evaluation of the bundled object encoder.

``concerto-ros objects train demo`` repeats all of it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from concerto_ros.learning.objects.data.object_set import ObjectSet
from concerto_ros.learning.objects.demo_encoder.background_crops import BACKGROUND_CROPS
from concerto_ros.learning.objects.demo_encoder.objects import (
    ANSWERS,
    FORM,
    VOXELS,
    background_to_test,
    things_to_test,
    training_objects,
)
from concerto_ros.learning.objects.training.embedding import classify_objects
from concerto_ros.learning.objects.training.fine_tune import fine_tune
from concerto_ros.learning.objects.training.recipes import ObjectTrainingConfig
from concerto_ros.learning.objects.training.scores import Accuracy
from concerto_ros.learning.objects.training.training_run import ObjectTrainingResult, RunOptions
from concerto_ros.objects.encoders.demo_encoder import demo_file, save_demo
from concerto_ros.objects.encoders.recon.encoder import ReCon
from concerto_ros.objects.encoders.recon.transformer import ReConShape

#: A ReCon narrow enough for a computer without a GPU.
SHAPE = ReConShape(
    width=128, blocks=4, heads=4, groups=32, group_size=16, patch_widths=(64, 64, 128)
)

#: Training objects of each class, training background crops, and test objects of each class and
#: type of background.
PER_CLASS, BACKGROUND_COUNT, TEST_PER_CLASS = 280, 1400, 15

EPOCHS = 10

#: Unlike in published recipes the weights are random at first, so the rate is higher.
RECIPE = ObjectTrainingConfig(1e-3, "stretch_turn", smoothing=0.1, start_rate=2e-4)
SEED = 0

#: The page with its accuracy; only a source tree has it.
DOCUMENT = "docs/objects.md"


@dataclass(frozen=True)
class DemoEncoderReport:
    """Accuracy of an encoder.

    Attributes:
        things: On objects of its classes, by how they are seen.
        background: On background crops, by type and voxel size in metres.
    """

    things: dict[str | float, Accuracy]
    background: dict[tuple[str, float], Accuracy]


def train(
    folder: Path,
    *,
    per_class: int = PER_CLASS,
    background_count: int = BACKGROUND_COUNT,
    epochs: int = EPOCHS,
    test_per_class: int = TEST_PER_CLASS,
    seed: int = SEED,
    output: Path | None = None,
    progress: bool = False,
) -> tuple[ObjectTrainingResult, str]:
    """Make the objects, train, write the encoder; return the result and :func:`report`.

    Args:
        folder: Caches the objects and the state of the training.
        per_class: Training objects of each class.
        background_count: Background crops to train on.
        epochs: Epochs of the training.
        test_per_class: Test objects of each class, and background crops of each type.
        seed: Of all random choices.
        output: The file to write; None for the package's own.
        progress: Whether to show progress bars.
    """
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        model = ReCon(SHAPE, FORM.points, FORM.size_power)
        model.add_head(len(ANSWERS))
    outcome = fine_tune(
        model,
        training_objects(folder / "demo", per_class, background_count),
        RECIPE.shortened(epochs - 1),
        RunOptions(
            seed=seed,
            folder=folder / f"demo_{per_class}_{background_count}_{epochs}_{seed}",
            progress=progress,
        ),
    )
    model.class_names = ANSWERS
    save_demo(model, output)
    found = examine(model, folder, test_per_class)
    return outcome, report(model, found, test_per_class, output or demo_file())


def examine(model: ReCon, folder: Path, per_class: int = TEST_PER_CLASS) -> DemoEncoderReport:
    """Test an encoder with :data:`ANSWERS` on unseen objects."""

    def score(objects: ObjectSet) -> Accuracy:
        return Accuracy.of(
            classify_objects(model, objects).argmax(1), objects.labels, len(ANSWERS)
        )

    kinds: tuple[str | float, ...] = ("surface", "view", *VOXELS)
    things = {kind: score(things_to_test(folder / "demo", per_class, kind)) for kind in kinds}
    background = {
        (name, voxel): score(background_to_test(folder / "demo", name, per_class, voxel))
        for name in BACKGROUND_CROPS
        for voxel in VOXELS
    }
    return DemoEncoderReport(things, background)


def report(model: ReCon, found: DemoEncoderReport, per_class: int, file: Path) -> str:
    """Format what :func:`examine` found, with size and speed of the encoder, as Markdown."""
    count = sum(value.numel() for value in model.parameters())
    batch = torch.rand(16, model.points, 3, generator=torch.Generator().manual_seed(0))
    spent = []
    with torch.inference_mode():
        for _ in range(5):
            start = time.perf_counter()
            model.classify(batch)
            spent.append(1000 * (time.perf_counter() - start) / len(batch))
    right = ", ".join(
        f"{_seen(kind)} {100 * score.accuracy:.1f} %" for kind, score in found.things.items()
    )
    lines = [
        f"{count / 1e6:.2f} million parameters, {file.stat().st_size / 1e6:.1f} MB;"
        f" {min(spent):.1f} ms for an object in a batch of {len(batch)}"
        f" ({torch.get_num_threads()} threads). Right of the test objects, {per_class} of each"
        f" class except those with too few voxels in a map: {right}. Segmented in maps:",
        "",
        _table("class", "right", {v: _by_class(found.things[v]) for v in VOXELS}),
        "",
        f"Of background crops, {per_class} of each type, are classified as none of these (the"
        " training has no beds and people, the unseen things):",
        "",
        _table("type", "none of these", {v: _by_background(found, v) for v in VOXELS}),
    ]
    return "\n".join(lines)


def _seen(kind: str | float) -> str:
    return kind if isinstance(kind, str) else f"map with voxels of {100 * kind:.0f} cm"


def _by_class(score: Accuracy) -> dict[str, tuple[str, str]]:
    """Return for each class how many are right, and what the others were most often taken for."""
    cells = {}
    for label, row in enumerate(score.matrix[:-1]):
        wrong = np.where(np.arange(len(row)) == label, 0, row)
        other = f"{ANSWERS[wrong.argmax()]} ({wrong.max()})" if wrong.any() else ""
        cells[ANSWERS[label]] = f"{row[label]} of {row.sum()}", other
    return cells


def _by_background(found: DemoEncoderReport, voxel: float) -> dict[str, tuple[str, str]]:
    """Return for each type of background crop the same as :func:`_by_class`."""
    cells = {}
    for (name, of), score in found.background.items():
        if of == voxel:
            *named, none, _ = score.matrix[-1]
            other = f"{ANSWERS[int(np.argmax(named))]} ({max(named)})" if any(named) else ""
            cells[name] = f"{none} of {score.matrix[-1].sum()}", other
    return cells


def _table(what: str, right: str, columns: dict[float, dict[str, tuple[str, str]]]) -> str:
    heads = [f"{right}, {100 * voxel:.0f} cm | else most often" for voxel in columns]
    lines = [f"| {what} | {' | '.join(heads)} |", "| --- " + "| ---: | --- " * len(columns) + "|"]
    for name in next(iter(columns.values())):
        cells = [" | ".join(cell[name]) for cell in columns.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How the object encoder in the box is made: its shape, its training, its test.

``concerto-ros objects train demo`` does all of it again.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from concerto_ros.learning.objects.demo_encoder.background_crops import SCRAPS
from concerto_ros.learning.objects.demo_encoder.objects import (
    ANSWERS,
    FORM,
    VOXELS,
    scraps_to_test,
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

#: Objects of each class, and scraps, to learn from; then objects and scraps of each kind to test.
PER_CLASS, SCRAP_COUNT, TEST_PER_CLASS = 280, 1400, 15

EPOCHS = 10

#: Unlike published recipes it starts from nothing, so its rate is higher.
RECIPE = ObjectTrainingConfig(1e-3, "stretch_turn", smoothing=0.1, start_rate=2e-4)
SEED = 0

#: The page that says how good it is; only a source tree has it.
DOCUMENT = "docs/objects.md"


@dataclass(frozen=True)
class DemoEncoderReport:
    """How good an encoder is: on things by how they are seen, and on scraps by kind and voxel."""

    things: dict[str | float, Accuracy]
    scraps: dict[tuple[str, float], Accuracy]


def train(
    folder: Path,
    *,
    per_class: int = PER_CLASS,
    scrap_count: int = SCRAP_COUNT,
    epochs: int = EPOCHS,
    test_per_class: int = TEST_PER_CLASS,
    seed: int = SEED,
    output: Path | None = None,
    progress: bool = False,
) -> tuple[ObjectTrainingResult, str]:
    """Make the objects, train, write the encoder; how it went and :func:`report`.

    ``folder`` keeps the objects and the state of the training. ``output`` is the file to write,
    the one of the package if None.
    """
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        model = ReCon(SHAPE, FORM.points, FORM.size_power)
        model.add_head(len(ANSWERS))
    outcome = fine_tune(
        model,
        training_objects(folder / "demo", per_class, scrap_count),
        RECIPE.shortened(epochs - 1),
        RunOptions(
            seed=seed,
            folder=folder / f"demo_{per_class}_{scrap_count}_{epochs}_{seed}",
            progress=progress,
        ),
    )
    model.class_names = ANSWERS
    save_demo(model, output)
    found = examine(model, folder, test_per_class)
    return outcome, report(model, found, test_per_class, output or demo_file())


def examine(model: ReCon, folder: Path, per_class: int = TEST_PER_CLASS) -> DemoEncoderReport:
    """Let an encoder with :data:`ANSWERS` name objects that it has not seen."""

    def score(objects) -> Accuracy:
        return Accuracy.of(
            classify_objects(model, objects).argmax(1), objects.labels, len(ANSWERS)
        )

    things = {
        kind: score(things_to_test(folder / "demo", per_class, kind))
        for kind in ("surface", "view", *VOXELS)
    }
    scraps = {
        (name, voxel): score(scraps_to_test(folder / "demo", name, per_class, voxel))
        for name in SCRAPS
        for voxel in VOXELS
    }
    return DemoEncoderReport(things, scraps)


def report(model: ReCon, found: DemoEncoderReport, per_class: int, file: Path) -> str:
    """What :func:`examine` found, and how large and how fast the encoder is; Markdown."""
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
        f" class but for those of which a map holds too little: {right}. Cut out of maps:",
        "",
        _table("class", "right", {v: _by_class(found.things[v]) for v in VOXELS}),
        "",
        f"Of scraps, {per_class} of each kind, are called none of these (beds and people it has"
        " never seen):",
        "",
        _table("kind", "none of these", {v: _by_scrap(found, v) for v in VOXELS}),
    ]
    return "\n".join(lines)


def _seen(kind: str | float) -> str:
    return kind if isinstance(kind, str) else f"cut from voxels of {100 * kind:.0f} cm"


def _by_class(score: Accuracy) -> dict[str, tuple[str, str]]:
    """By class: how many are right of how many, and what the others were taken for most."""
    cells = {}
    for label, row in enumerate(score.matrix[:-1]):
        wrong = np.where(np.arange(len(row)) == label, 0, row)
        other = f"{ANSWERS[wrong.argmax()]} ({wrong.max()})" if wrong.any() else ""
        cells[ANSWERS[label]] = f"{row[label]} of {row.sum()}", other
    return cells


def _by_scrap(found: DemoEncoderReport, voxel: float) -> dict[str, tuple[str, str]]:
    """By kind of scrap: as :func:`_by_class`."""
    cells = {}
    for (name, of), score in found.scraps.items():
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

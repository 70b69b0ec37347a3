# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Evaluation of the bundled object encoder, and the report on it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from concerto_ros.learning.objects.data.object_set import ObjectSet
from concerto_ros.learning.objects.data.synthetic import CLASSES
from concerto_ros.learning.objects.demo_encoder.background_crops import BACKGROUND_CROPS
from concerto_ros.learning.objects.demo_encoder.held_out_models import (
    held_out_models,
    models_to_test,
)
from concerto_ros.learning.objects.demo_encoder.objects import (
    ANSWERS,
    VOXELS,
    background_to_test,
    things_to_test,
)
from concerto_ros.learning.objects.training.embedding import classify_objects
from concerto_ros.learning.objects.training.scores import Accuracy
from concerto_ros.objects.encoders.recon.encoder import ReCon
from concerto_ros.objects.encoders.shared.base import NONE_OF_THESE


@dataclass(frozen=True)
class DemoEncoderReport:
    """Accuracy of an encoder.

    Attributes:
        things: On objects of its classes, by how they are seen.
        background: On background crops, by type and voxel size in metres.
        models: On a furniture library's held-out models, by class or sort of background and voxel
            size in metres; empty without a library.
        model_counts: How many such models there are, by class or sort.
    """

    things: dict[str | float, Accuracy]
    background: dict[tuple[str, float], Accuracy]
    models: dict[tuple[str, float], Accuracy] = field(default_factory=dict)
    model_counts: dict[str, int] = field(default_factory=dict)


def examine(
    model: ReCon, folder: Path, per_class: int, furniture: Path | None = None
) -> DemoEncoderReport:
    """Test an encoder with :data:`ANSWERS` on unseen objects.

    Args:
        model: The encoder.
        folder: Caches the objects.
        per_class: Objects of each class and background crops of each type.
        furniture: Folder of a furniture library whose held-out models are tested, too.
    """

    def score(objects: ObjectSet) -> Accuracy:
        return Accuracy.of(
            classify_objects(model, objects).argmax(1), objects.labels, len(ANSWERS)
        )

    cache = folder / "demo"
    kinds: tuple[str | float, ...] = ("surface", "view", *VOXELS)
    things = {kind: score(things_to_test(cache, per_class, kind)) for kind in kinds}
    background = {
        (name, voxel): score(background_to_test(cache, name, per_class, voxel))
        for name in BACKGROUND_CROPS
        for voxel in VOXELS
    }
    if furniture is None:
        return DemoEncoderReport(things, background)
    models = {
        (sort, voxel): score(objects)
        for voxel in VOXELS
        for sort, objects in models_to_test(cache, per_class, voxel, furniture).items()
        if len(objects)
    }
    counts = {sort: len(pieces) for sort, pieces in held_out_models(furniture).items()}
    return DemoEncoderReport(things, background, models, counts)


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
        f" training has no {'generated ' if found.models else ''}beds and people, the unseen"
        " things):",
        "",
        _table("type", "none of these", {v: _by_background(found, v) for v in VOXELS}),
    ]
    if found.models:
        lines += ["", *_about_models(found, per_class)]
    return "\n".join(lines)


def _about_models(found: DemoEncoderReport, per_class: int) -> list[str]:
    """Return the part on models of a library, as lines."""
    classes, background = (
        " and ".join(f"{100 * _mean(found, voxel, of_classes):.1f} %" for voxel in VOXELS)
        for of_classes in (True, False)
    )
    return [
        "Of the models that a furniture library keeps out of training (in brackets how many),"
        f" {per_class} crops from maps of each class, and of each sort that belongs to none, but"
        " for those with too few voxels; the models take turns. Right in the mean over the classes"
        f" {classes} with voxels of 2 and 4 cm; in the mean over the other sorts, {background} are"
        " none of these.",
        "",
        _table("held-out models", "right", {v: _by_sort(found, v) for v in VOXELS}),
    ]


def _mean(found: DemoEncoderReport, voxel: float, of_classes: bool) -> float:
    """Mean accuracy over the classes of held-out models, or over the other sorts."""
    shares = [
        score.accuracy
        for (sort, of), score in found.models.items()
        if of == voxel and (sort in CLASSES) == of_classes
    ]
    return float(np.mean(shares)) if shares else np.nan


def _seen(kind: str | float) -> str:
    return kind if isinstance(kind, str) else f"map with voxels of {100 * kind:.0f} cm"


def _by_class(score: Accuracy) -> dict[str, tuple[str, str]]:
    """Return for each class how many are right, and what the others were most often taken for."""
    return {name: _cells(score, name) for name in CLASSES}


def _by_background(found: DemoEncoderReport, voxel: float) -> dict[str, tuple[str, str]]:
    """Return for each type of background crop the same as :func:`_by_class`."""
    return {
        name: _cells(score, NONE_OF_THESE)
        for (name, of), score in found.background.items()
        if of == voxel
    }


def _by_sort(found: DemoEncoderReport, voxel: float) -> dict[str, tuple[str, str]]:
    """Return for each class and sort of held-out models the same as :func:`_by_class`."""
    cells = {}
    for sort, count in found.model_counts.items():
        score = found.models.get((sort, voxel))
        answer = sort if sort in CLASSES else NONE_OF_THESE
        cells[f"{sort} ({count})"] = ("0 of 0", "") if score is None else _cells(score, answer)
    return cells


def _cells(score: Accuracy, answer: str) -> tuple[str, str]:
    """Return how many objects are right, and what the others were most often taken for."""
    label = ANSWERS.index(answer)
    row = score.matrix[label]
    wrong = np.where(np.arange(len(row)) == label, 0, row)
    other = f"{ANSWERS[wrong.argmax()]} ({wrong.max()})" if wrong.any() else ""
    return f"{row[label]} of {row.sum()}", other


def _table(what: str, right: str, columns: dict[float, dict[str, tuple[str, str]]]) -> str:
    heads = [f"{right}, {100 * voxel:.0f} cm | else most often" for voxel in columns]
    lines = [f"| {what} | {' | '.join(heads)} |", "| --- " + "| ---: | --- " * len(columns) + "|"]
    for name in next(iter(columns.values())):
        cells = [" | ".join(cell[name]) for cell in columns.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes the measured parts of ``docs/demo_model.md``; the text around them is written by hand."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from tqdm import tqdm

from concerto_ros.heads.linear import LinearHead
from concerto_ros.labels.confusion import Confusion
from concerto_ros.labels.label_set import LabelSet
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.learning.demo_model.furniture import credits_table, furnished
from concerto_ros.learning.demo_model.recipe import Recipe
from concerto_ros.learning.demo_model.report.conditions import COLUMNS, SHIFTS, measure
from concerto_ros.learning.demo_model.report.pictures import write_pictures
from concerto_ros.learning.methods.segmenter import Segmenter
from concerto_ros.ptv3 import load_encoder
from concerto_ros.ptv3.bundled import DEMO, demo_file
from concerto_ros.sim.library import FurnitureLibrary

#: Size of the scan whose time is measured, voxels.
TIMED_VOXELS = 20_000


def load_bundled(recipe: Recipe) -> Segmenter:
    """The bundled model of a recipe's preset, in evaluation mode."""
    encoder = load_encoder(DEMO, preset=recipe.preset)
    return Segmenter(encoder, LinearHead.load(DEMO, encoder, preset=recipe.preset)).eval()


def milliseconds(model: Segmenter, recipe: Recipe, scans: Sequence[Scan]) -> tuple[int, float]:
    """Number of voxels of the scan nearest to 20 000, and the shortest of five inference times."""
    collate = recipe.collate()
    batches = [collate([scans[index]], None) for index in range(len(scans))]
    batch = min(batches, key=lambda candidate: abs(len(candidate) - TIMED_VOXELS))
    durations = []
    with torch.inference_mode():
        for _ in range(5):
            start = time.perf_counter()
            model(batch)
            durations.append(1000 * (time.perf_counter() - start))
    return len(batch), min(durations)


def class_table(scores: Mapping[str, Confusion], classes: LabelSet) -> str:
    """IoU in percent by class and condition, as a Markdown table.

    The first condition is that whose shares of points are given; those without points are left
    out.
    """
    scores = {name: score for name, score in scores.items() if score.matrix.any()}
    lines = [
        "| class | " + " | ".join(scores) + " | share of points |",
        "| --- |" + " ---: |" * (len(scores) + 1),
    ]
    support = next(iter(scores.values())).support
    for index, entry in enumerate(classes.classes):
        row = " | ".join(f"{100 * score.iou[index]:.1f}" for score in scores.values())
        share = f"{100 * support[index] / support.sum():.1f} %"
        lines.append(f"| {entry.name} | {row} | {share} |")
    for text, value in (
        ("mIoU", "mean_iou"),
        ("mAcc", "mean_accuracy"),
        ("allAcc", "all_accuracy"),
    ):
        row = " | ".join(f"**{100 * getattr(score, value):.1f}**" for score in scores.values())
        lines.append(f"| **{text}** | {row} | |")
    return "\n".join(lines)


def shift_table(scores: Mapping[str, Confusion]) -> str:
    """Points of mIoU that each of the shifts costs, as a Markdown table.

    Args:
        scores: Of :func:`~concerto_ros.learning.demo_model.report.conditions.measure`; the first
            condition is what the shifts are compared with.
    """
    usual = next(iter(scores.values()))
    lines = ["| scans | mIoU | points lost |", "| --- | ---: | ---: |"]
    lines.append(f"| as they are | {100 * usual.mean_iou:.1f} | |")
    for name in SHIFTS:
        miou = scores[name].mean_iou
        lines.append(f"| {name} | {100 * miou:.1f} | {100 * (usual.mean_iou - miou):.1f} |")
    return "\n".join(lines)


def measured_part(recipe: Recipe, folder: Path, furniture: Path | None = None) -> str:
    """Evaluate the bundled model of a recipe on its test scenes.

    Args:
        recipe: Whose model is measured.
        folder: Folder with the scans; missing ones are simulated.
        furniture: Folder of a furniture library, for a second table: scenes with those of its
            models that are held out from training. None: no second table.

    Returns:
        Markdown with the model's size, speed and accuracy.
    """
    model = load_bundled(recipe)
    scans = recipe.scans(folder, recipe.test_seeds)
    voxels, duration = milliseconds(model, recipe, scans[:60])
    scores = measure(model, recipe, _with_progress(scans, recipe.scenes))
    count = sum(parameter.numel() for parameter in model.parameters())
    size = demo_file(recipe.preset).stat().st_size
    seeds = recipe.test_seeds
    usual = next(iter(scores))
    lines = [
        f"{count / 1e6:.2f} million parameters, {size / 1e6:.1f} MB; "
        f"{voxels} voxels of {100 * recipe.voxel_size:g} cm are labelled in {duration:.0f} ms "
        f"({torch.get_num_threads()} threads, integers of the hierarchy included).",
        "",
        f"IoU in percent, point by point, over {len(scans)} scans of {len(seeds)} {recipe.scenes} "
        f"(seeds {seeds[0]} to {seeds[-1]}). `sparse`: a tenth of the points and no colour.",
        "",
        class_table({n: s for n, s in scores.items() if n not in SHIFTS}, recipe.classes),
        "",
        f"The scans of the column `{usual}`, changed in one respect each:",
        "",
        shift_table(scores),
    ]
    if furniture is not None:
        scans = furnished(recipe, furniture).scans(folder, seeds)
        scores = measure(model, recipe, _with_progress(scans, "furnished"), shifts=False)
        lines += [
            "",
            f"As many {recipe.scenes} with models of furniture libraries that training never saw:",
            "",
            class_table(scores, recipe.classes),
        ]
    return "\n".join(lines)


def _with_progress(scans: Sequence[Scan], name: str) -> Iterator[Scan]:
    for index in tqdm(range(len(scans)), unit="scan", desc=name):
        yield scans[index]


def replace_part(text: str, name: str, content: str) -> str:
    """Put ``content`` between the two lines that mark the measured part ``name``.

    Raises:
        ValueError: The text lacks these lines.
    """
    begin, end = (f"<!-- measured {name}: {edge} -->" for edge in ("begin", "end"))
    if begin not in text or end not in text.split(begin)[1]:
        raise ValueError(
            f"the page has no part {name}, expected the lines {begin} and {end} around it"
        )
    before, rest = text.split(begin, 1)
    after = rest.split(end, 1)[1]
    return f"{before}{begin}\n\n{content}\n\n{end}{after}"


def write_report(
    recipe: Recipe, folder: Path, document: Path, furniture: Path | None = None
) -> str:
    """Evaluate the bundled model of a recipe and write its measured part and its picture.

    With a furniture library the page names the authors of its models, too.

    Args:
        recipe: As for :func:`measured_part`, as are ``folder`` and ``furniture``.
        folder: Folder with the scans.
        document: The Markdown file.
        furniture: Folder of a furniture library, or None.

    Returns:
        The measured part.

    Raises:
        ValueError: The document lacks the lines between which the measured part belongs.
    """
    text = document.read_text(encoding="utf-8")
    replace_part(text, recipe.preset, "")  # raises before minutes are spent
    measured = measured_part(recipe, folder, furniture)
    position, seeds = COLUMNS[recipe.preset].shown
    shown = [recipe.scans(folder, [seed])[position] for seed in seeds]
    picture = document.parent / "images" / f"{demo_file(recipe.preset).stem}_model.jpg"
    write_pictures(load_bundled(recipe), recipe, shown, picture)
    text = document.read_text(encoding="utf-8")  # it may have been edited meanwhile
    text = replace_part(text, recipe.preset, measured)
    if furniture is not None:
        text = replace_part(text, "furniture", credits_table(FurnitureLibrary.open(furniture)))
    document.write_text(text, encoding="utf-8")
    return measured

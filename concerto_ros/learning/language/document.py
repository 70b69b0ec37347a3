# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes the measured part of ``docs/words.md``; the text around it is written by hand."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np

from concerto_ros.learning.demo_model.recipe import INDOOR, Recipe
from concerto_ros.learning.demo_model.report.document import replace_part
from concerto_ros.learning.language.bundled import Measured, bundled_words, measure_bundled
from concerto_ros.learning.language.finding import FEWEST_VOXELS, Answer, rates
from concerto_ros.learning.language.word_list import TEXT_ENCODER

#: The page; it exists in a source tree only.
DOCUMENT = "docs/words.md"
#: The name of the measured part in the page.
PART = "words"


def write_report(
    folder: Path, document: Path, recipe: Recipe = INDOOR, head_file: Path | None = None
) -> str:
    """Measure the bundled language head and write the measured part of the page.

    Args:
        folder: Folder with rooms and features; missing ones are made.
        document: The Markdown file.
        recipe: Furnished as wanted.
        head_file: Another language head; None: the bundled one.

    Returns:
        The measured part.

    Raises:
        ValueError: The document lacks the lines between which the measured part belongs.
    """
    text = document.read_text(encoding="utf-8")
    replace_part(text, PART, "")  # raises before minutes are spent
    measured = measured_part(measure_bundled(folder, recipe, head_file))
    text = document.read_text(encoding="utf-8")  # it may have been edited meanwhile
    document.write_text(replace_part(text, PART, measured), encoding="utf-8")
    return measured


def measured_part(measured: Measured) -> str:
    """What was measured, as Markdown."""
    words = bundled_words()
    fine = [word for word in words.names if not word.is_class]
    right, absent = rates(measured.answers)
    there = sum(answer.there for answer in measured.answers)
    lines = [
        f"Trained with {len(words.labels)} classes and {len(fine)} fine names, in the space of"
        f" `{TEXT_ENCODER}`; measured on {measured.scans} scans of {measured.rooms} rooms that"
        " no model was trained on.",
        "",
        _class_table(measured),
        "",
        f"Finding things by name, in the scans of whole rooms: {there} questions for what is"
        f" there (at least {FEWEST_VOXELS} voxels of it), {len(measured.answers) - there} for what"
        " is not. Means over the names:",
        "",
        "| question | share |",
        "| --- | ---: |",
        f"| the best answer is right, of names that are there | {_percent(right)} |",
        f'| "not found", of names that are not there | {_percent(absent)} |',
        "",
        _name_table(measured.answers),
    ]
    return "\n".join(lines)


def _class_table(measured: Measured) -> str:
    """IoU in percent of each class, by what gave the labels."""
    words = bundled_words().labels
    lines = [
        "| class | " + " | ".join(measured.scores) + " | other synonym |",
        "| --- |" + " ---: |" * len(measured.scores) + " --- |",
    ]
    for row, word in enumerate(words):
        values = " | ".join(f"{100 * s.iou[row]:.1f}" for s in measured.scores.values())
        lines.append(f"| {word.name} | {values} | {word.held_out[0]} |")
    mious = [score.mean_iou for score in measured.scores.values()]
    values = " | ".join(f"**{100 * miou:.1f}**" for miou in mious)
    lines.append(f"| **mIoU** | {values} | |")
    shares = " | ".join(f"{miou / mious[0]:.2f}" for miou in mious)
    lines.append(f"| of the linear head's | {shares} | |")
    return "\n".join(lines)


def _name_table(answers: tuple[Answer, ...]) -> str:
    """For each name that some scan holds, how often the best answer is right, most first."""
    by_name: dict[int, list[bool]] = defaultdict(list)
    for answer in answers:
        if answer.there:
            by_name[answer.name].append(answer.right)
    names = bundled_words().names
    ranked = sorted(by_name.items(), key=lambda item: (-np.mean(item[1]), names[item[0]].name))
    listed = [f"{names[row].name} {sum(hits)}/{len(hits)}" for row, hits in ranked]
    return "By name, right answers of questions: " + ", ".join(listed) + "."


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"

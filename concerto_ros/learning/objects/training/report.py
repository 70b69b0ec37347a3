# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The report of a training of an object encoder, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from concerto_ros.files.atomic_write import replacing
from concerto_ros.learning.objects.training.training_run import ObjectTrainingResult


def write_report(
    path: Path, title: str, facts: Mapping[str, str], said: str, result: ObjectTrainingResult
) -> None:
    """Write what was trained, its result, and its losses and scores by epoch.

    Args:
        path: The file.
        title: The heading.
        facts: What was trained by what, by name.
        said: The result in a sentence.
        result: The training.
    """
    lines = [f"- {name}: {text}" for name, text in facts.items()]
    text = "\n".join([f"# {title}", "", *lines, "", said, "", curve(result), ""])
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def curve(result: ObjectTrainingResult, rows: int = 20) -> str:
    """Format the losses of at most ``rows`` epochs, and the scores after them, as Markdown."""
    scores = dict(result.scores)
    names = list(result.history[0]) if result.history else []
    lines = [
        "| epoch | " + " | ".join([*names, *["score"] * bool(scores)]) + " |",
        "| ---: |" + " ---: |" * (len(names) + bool(scores)),
    ]
    every = max(1, -(-len(result.history) // rows))
    for number, losses in enumerate(result.history, 1):
        if number % every and number != len(result.history):
            continue
        cells = [f"{losses[name]:.5f}" for name in names]
        if scores:
            cells.append(f"{scores[number]:.4f}" if number in scores else "")
        lines.append(f"| {number} | " + " | ".join(cells) + " |")
    return "\n".join(lines)

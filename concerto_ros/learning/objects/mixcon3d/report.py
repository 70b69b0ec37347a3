# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The report of a training of MixCon3D, in Markdown."""

from __future__ import annotations

from dataclasses import asdict

from concerto_ros.learning.objects.mixcon3d.recipe import ContrastRecipe
from concerto_ros.learning.objects.mixcon3d.training import ContrastResult


def contrast_report(result: ContrastResult, recipe: ContrastRecipe, shapes: str) -> str:
    """Write what was trained, and the losses and scores of each epoch.

    Args:
        result: The training.
        recipe: Its hyper-parameters.
        shapes: The training data, in words.
    """
    given = ", ".join(f"{name} {value}" for name, value in asdict(recipe).items())
    names = list(result.epochs[0].losses)
    sets = list(dict.fromkeys(name for epoch in result.epochs for name in epoch.scores))
    head = ["epoch", *(f"loss {name.replace('_', ' ')}" for name in names)]
    head += [f"{name}: top-1 / 3 / 5, mean of classes" for name in sets]
    lines = [
        "# Training of MixCon3D",
        "",
        f"{shapes}; {given}. {result.seconds / 60:.1f} minutes.",
        "",
        f"| {' | '.join(head)} |",
        f"|{' ---: |' * len(head)}",
    ]
    for epoch in result.epochs:
        row = [str(epoch.number), *(f"{epoch.losses[name]:.4f}" for name in names)]
        for name in sets:
            shares = [100 * share for share in epoch.scores.get(name, {}).values()]
            tops = " / ".join(f"{share:.1f}" for share in shares[:-1])
            row.append(f"{tops}, {shares[-1]:.1f} %" if shares else "")
        lines.append(f"| {' | '.join(row)} |")
    if result.best_epoch is not None and result.best_top1 is not None:
        lines += [
            "",
            f"Best: epoch {result.best_epoch}, {100 * result.best_top1:.2f} % top-1 on {sets[0]}.",
        ]
    return "\n".join(lines) + "\n"

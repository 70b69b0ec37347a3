# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What it costs Any2Point to answer for each object by itself.

The published evaluation lets the clouds of a batch see each other. A robot wants the answer for
an object to be the same whatever else is in view. Here both answers are compared.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from concerto_ros.objects.encoders.any2point.encoder import Any2Point
from concerto_ros.verification.any2point import load_case
from concerto_ros.verification.cases import Case


@dataclass(frozen=True)
class Agreement:
    """Logits of a batch as published against those of each object by itself.

    clouds: how many were compared. mean, largest: absolute difference of logits. spread: standard
    deviation of the published logits, to judge them by. same_label: the part of the clouds whose
    greatest logit is the same.
    """

    clouds: int
    mean: float
    largest: float
    spread: float
    same_label: float


@torch.inference_mode()
def measure_agreement(model: Any2Point, batch: torch.Tensor) -> Agreement:
    """Compare both modes on one batch (B, N, 3) of prepared clouds."""
    before = model.per_object
    try:
        model.per_object = False
        published = model.classify(batch)
        model.per_object = True
        alone = model.classify(batch)
    finally:
        model.per_object = before
    difference = (published - alone).abs()
    return Agreement(
        clouds=len(batch),
        mean=float(difference.mean()),
        largest=float(difference.max()),
        spread=float(published.std()),
        same_label=float((published.argmax(1) == alone.argmax(1)).float().mean()),
    )


def agreement_on_cases(
    folder: Path, device: str | torch.device = "cpu"
) -> Iterator[tuple[str, Agreement]]:
    """The name of each reference case of a folder, and how far both modes agree on its clouds.

    Raises OSError for a folder without ``meta.json``, ValueError for another model's cases.
    """
    meta = json.loads((folder / "meta.json").read_text())
    for name, entry in meta["cases"].items():
        case = Case(folder, meta["model"], name, entry, torch.device(device))
        yield name, measure_agreement(load_case(case), case.tensor("points"))

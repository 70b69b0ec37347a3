# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which optimiser moves which parameters of a model, and how fast."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from concerto_ros.learning.training.muon import Muon
from concerto_ros.learning.training.schedule import Schedule


def build_optimizers(
    parameters: Mapping[str, nn.Parameter],
    schedule: Schedule,
    slow: Callable[[str], float] | None = None,
    orthogonal: Callable[[str, nn.Parameter], bool] | None = None,
) -> list[torch.optim.Optimizer]:
    """AdamW, and Muon for the ``parameters`` that are ``orthogonal`` by name and value.

    Each group has a ``factor``, what ``slow`` gives for the names of its parameters (1 if None),
    for the trainer to multiply the learning rate of the ``schedule`` with.
    """
    groups: dict[tuple[bool, float], list[nn.Parameter]] = {}
    for name, parameter in parameters.items():
        kind = orthogonal is not None and orthogonal(name, parameter)
        factor = 1.0 if slow is None else slow(name)
        groups.setdefault((kind, factor), []).append(parameter)
    return [
        build(
            [
                {"params": members, "factor": factor}
                for (kind, factor), members in groups.items()
                if kind is wanted
            ],
            lr=schedule.learning_rate,
            weight_decay=schedule.weight_decay,
        )
        for wanted, build in ((False, _adam), (True, Muon))
        if any(kind is wanted for kind, _ in groups)
    ]


def _adam(groups: list[dict[str, Any]], **options: float) -> torch.optim.Optimizer:
    return torch.optim.AdamW(groups, fused=True, **options)

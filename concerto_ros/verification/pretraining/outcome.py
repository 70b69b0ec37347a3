# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the run of a reference case gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from concerto_ros.verification.cases import Case


@dataclass(frozen=True)
class Outcome:
    """The computed arrays of a case.

    Attributes:
        values: By name. A gradient that the case does not have is compared with zero.
        inputs: Says by name whether an array of the case is an input.
        sets: Names of arrays whose order does not matter.
        where: By name, which elements of an array are compared, bool of its shape.
        holds: By name, whether what a case takes for granted holds here, too.
    """

    values: Mapping[str, Any]
    inputs: Callable[[str], bool]
    sets: frozenset[str] = frozenset()
    where: Mapping[str, np.ndarray] = field(default_factory=dict)
    holds: Mapping[str, bool] = field(default_factory=dict)


def offset_of(batch: torch.Tensor, views: int) -> torch.Tensor:
    """Cumulative sizes of views, of the view of each row."""
    return torch.bincount(batch, minlength=views).cumsum(0)


def number(case: Case, name: str, other: float | None = None) -> float:
    """A number of a case, from its arrays or its settings, else another one."""
    known = {name: other} | case.meta.get("settings", {}) | case.arrays
    if known[name] is None:
        raise ValueError(f"{case.name} has no {name!r}, expected it as an array or a setting")
    return float(known[name])


def gradients(values: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The gradients of tensors, zeros where there are none, by ``grad_<name>``."""
    return {
        f"grad_{name}": torch.zeros_like(value) if value.grad is None else value.grad
        for name, value in values.items()
    }

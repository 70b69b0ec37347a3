# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The learning rate over a run, and what else shapes a step of the optimiser."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Schedule:
    """How the learning rate and the step are shaped; defaults as in Sonata's and Concerto's runs.

    Attributes
    ----------
    learning_rate: the highest; parameter groups may have a factor of their own.
    weight_decay: of AdamW.
    clip: largest norm of the gradient.
    warm_up: share of the run in which the rate climbs, along half a cosine.
    start, end: the rate at the very beginning and end, as a share of the highest.
    fall: how it falls from the highest to the end: along half a cosine, which spends much of a run
        near either, or along a straight line.
    """

    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    clip: float = 3.0
    warm_up: float = 0.05
    start: float = 0.1
    end: float = 1e-4
    fall: Literal["cosine", "linear"] = "cosine"

    def rate(self, progress: float) -> float:
        """Learning rate when ``progress`` (0..1) of the run is done: one cycle (Smith, 2018)."""
        if progress < self.warm_up:
            return self.learning_rate * _along_cosine(self.start, 1.0, progress / self.warm_up)
        along = _along_cosine if self.fall == "cosine" else _along_line
        phase = (progress - self.warm_up) / (1 - self.warm_up)
        return self.learning_rate * along(1.0, self.end, phase)


def _along_cosine(low: float, high: float, phase: float) -> float:
    return low + (high - low) * (1 - math.cos(math.pi * phase)) / 2


def _along_line(low: float, high: float, phase: float) -> float:
    return low + (high - low) * phase

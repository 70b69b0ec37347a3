# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One-cycle learning rate schedule, weight decay and gradient clipping."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Schedule:
    """Learning rate, weight decay and clipping; defaults as in Sonata's and Concerto's trainings.

    Attributes:
        learning_rate: Peak learning rate; parameter groups may multiply it by a factor.
        weight_decay: Of AdamW and Muon.
        clip: Maximum norm of the gradient.
        warm_up: Share of the run in which the rate rises to its peak, along half a cosine.
        start: Rate at the beginning, as a share of the peak.
        end: Rate at the end, as a share of the peak.
        fall: How the rate falls from the peak to the end: along half a cosine, which stays long
            near either value, or along a straight line.
    """

    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    clip: float = 3.0
    warm_up: float = 0.05
    start: float = 0.1
    end: float = 1e-4
    fall: Literal["cosine", "linear"] = "cosine"

    def rate(self, progress: float) -> float:
        """Learning rate at ``progress`` (0..1) of the run: one cycle (Smith, 2018)."""
        if progress < self.warm_up:
            return self.learning_rate * along_cosine(self.start, 1.0, progress / self.warm_up)
        along = along_cosine if self.fall == "cosine" else _along_line
        phase = (progress - self.warm_up) / (1 - self.warm_up)
        return self.learning_rate * along(1.0, self.end, phase)


def along_cosine(low: float, high: float, phase: float) -> float:
    """From ``low`` at ``phase`` 0 to ``high`` at 1, along half a cosine."""
    return low + (high - low) * (1 - math.cos(math.pi * phase)) / 2


def _along_line(low: float, high: float, phase: float) -> float:
    return low + (high - low) * phase

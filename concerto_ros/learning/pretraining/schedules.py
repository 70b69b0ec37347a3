# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What changes in the course of a pre-training, step by step."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from concerto_ros.learning.training.schedule import Schedule, along_cosine

#: Share of a run in which masks grow and the teacher warms up.
WARM_UP = 0.05


@dataclass(frozen=True)
class Warming:
    """A value that moves along a line in the first steps and then stays.

    Attributes:
        first: At step 0.
        last: From the end of the warm-up on.
    """

    first: float
    last: float

    def at(self, step: int, steps: int) -> float:
        """The value at ``step`` (from 0) of ``steps``."""
        warm = int(WARM_UP * steps)
        if step >= warm or (warm > 1 and step == warm - 1):
            return self.last
        return self.first + (self.last - self.first) * step / max(warm - 1, 1)


@dataclass(frozen=True)
class HalfCosine:
    """A value that moves along half a cosine over the whole run.

    Attributes:
        first: At step 0.
        last: At the end.
    """

    first: float
    last: float

    def at(self, step: int, steps: int) -> float:
        """The value at ``step`` (from 0) of ``steps``."""
        if step >= steps:
            return self.last
        return along_cosine(self.first, self.last, step / steps)


@dataclass(frozen=True)
class OneCycle(Schedule):
    """Learning rate and first beta of AdamW step by step, exactly as PyTorch's OneCycleLR.

    Attributes:
        steps: Of the run; the first is step 0 and has the rate of the start, the last that of the
            end.
    """

    steps: int = 1

    def rate(self, progress: float) -> float:
        """Learning rate at ``progress`` (0..1) of the run."""
        return self.learning_rate * self._between(progress * self.steps, self.start, 1.0, self.end)

    def beta(self, step: float) -> float:
        """First beta of AdamW at a step: low where the rate is high."""
        return self._between(step, 0.95, 0.85, 0.95)

    def _between(self, step: float, first: float, peak: float, last: float) -> float:
        top, end = self.warm_up * self.steps - 1, self.steps - 1
        if step <= top:
            return along_cosine(first, peak, step / top if top > 0 else 1.0)
        return along_cosine(peak, last, min((step - top) / (end - top), 1.0) if end > top else 1)


def layer_factor(name: str, depths: Sequence[int], decay: float) -> float:
    """Factor of the learning rate of a parameter: the earlier its block, the lower.

    Args:
        name: Of the parameter; those of block j in stage i hold ``enc<i>.block<j>.``.
        depths: Number of blocks in each stage.
        decay: Factor from a block to the one before it; 1: none.

    Returns:
        ``decay ** (number of later blocks)``; 1 for all that is in no block.
    """
    found = re.search(r"(?:^|\.)enc(\d+)\.block(\d+)\.", name)
    if found is None:
        return 1.0
    stage, block = int(found[1]), int(found[2])
    return decay ** (sum(depths) - 1 - sum(depths[:stage]) - block)

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The weights of a training: those it steps, their moving average, and the best by validation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from concerto_ros.files.finite_tensors import not_finite

Weights = dict[str, torch.Tensor]


class WeightAverage:
    """Exponential moving average (EMA) of parameters, as of Polyak and Juditsky, 1992.

    The average of noisy steps lies nearer to the optimum than the last step. The first steps count
    less: after ``n`` of them the decay is at most ``(1 + n) / (10 + n)``, so that the average
    forgets the random weights of the beginning and covers a ninth of a short run.

    Attributes:
        decay: As given.
        weights: The averages by name; they start as copies of the parameters.

    Args:
        parameters: The parameters that are averaged, by name.
        decay: Share of the old average that remains in a step, later in the run.

    Raises:
        ValueError: ``decay`` is not in (0, 1).
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], decay: float):
        if not 0 < decay < 1:
            raise ValueError(
                f"the decay of the averaged weights is {decay}, expected a number between 0 and "
                "1, e.g. 0.999; None: no average"
            )
        self._parameters, self.decay = dict(parameters), decay
        self.weights = {name: p.detach().clone() for name, p in parameters.items()}

    def update(self, steps: int) -> None:
        """Include the parameters as they are after ``steps`` steps."""
        decay = min(self.decay, (1 + steps) / (10 + steps))
        average = get_ema_multi_avg_fn(decay)
        average(list(self.weights.values()), list(self._parameters.values()), steps)

    @torch.no_grad()
    def load(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Go on from saved averages."""
        for name, average in self.weights.items():
            average.copy_(weights[name])

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Let the model compute with the averages while the context is open."""
        own = {name: p.detach().clone() for name, p in self._parameters.items()}
        copy_weights(self._parameters, self.weights)
        try:
            yield
        finally:
            copy_weights(self._parameters, own)


class TrainedWeights:
    """What a training changes: parameters, their average if there is one, and the best weights.

    Attributes:
        parameters: The trained parameters by name.
        best: ``step``, ``miou`` and ``weights`` of the best validation; None before the first.
        since_best: Validations since then.

    Args:
        parameters: The trained parameters by name.
        average: Decay of their moving average; None: no average.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], average: float | None):
        self.parameters = dict(parameters)
        self._average = None if average is None else WeightAverage(parameters, average)
        self.best: dict[str, Any] | None = None
        self.since_best = 0

    @property
    def decay(self) -> float | None:
        """Of the average; None where there is none."""
        return self._average.decay if self._average else None

    def stepped(self, steps: int) -> None:
        """Include the weights after ``steps`` steps in the average."""
        if self._average:
            self._average.update(steps)

    def in_use(self) -> AbstractContextManager[None]:
        """Let the model compute with the weights that would be kept."""
        return self._average.in_use() if self._average else nullcontext()

    def check(self, step: int) -> None:
        """Check that the last step did not ruin the weights, before they are kept or saved.

        Raises:
            ValueError: They are not finite; the text names ``step``.
        """
        if faults := not_finite(self.parameters):
            raise ValueError(
                f"step {step}: the weights are not finite (NaN or infinity): {faults}; "
                "expected finite numbers; lower the learning rate"
            )

    def copy(self, step: int) -> Weights:
        """A copy of the trained weights, after :meth:`check`."""
        self.check(step)
        return {name: p.detach().cpu().clone() for name, p in self.parameters.items()}

    def copy_to_keep(self, step: int) -> Weights:
        """A copy of the averaged weights; of the trained ones where none are averaged."""
        if self._average is None:
            return self.copy(step)
        self.check(step)
        return {name: w.cpu().clone() for name, w in self._average.weights.items()}

    def keep_if_best(self, step: int, miou: float) -> None:
        """Remember the weights of a validation if it was the best one."""
        self.since_best += 1
        if self.best is None or miou > self.best["miou"]:
            self.best = {"step": step, "miou": miou, "weights": self.copy_to_keep(step)}
            self.since_best = 0

    def take_best(self, step: int) -> dict[str, Any]:
        """Give the model the best weights, else the last ones to keep; returns ``best``."""
        none = {"step": None, "miou": None}
        best: dict[str, Any] = self.best or {**none, "weights": self.copy_to_keep(step)}
        copy_weights(self.parameters, best["weights"])
        return best

    def state(self, step: int) -> dict[str, Any]:
        """What :meth:`restore` needs."""
        return {
            "weights": self.copy(step),
            "average": self._average and self._average.weights,
            "best": self.best,
            "since_best": self.since_best,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved :meth:`state`."""
        copy_weights(self.parameters, state["weights"])
        if self._average:
            self._average.load(state["average"])
        self.best, self.since_best = state["best"], state["since_best"]


@torch.no_grad()
def copy_weights(
    parameters: Mapping[str, nn.Parameter], weights: Mapping[str, torch.Tensor]
) -> None:
    """Set parameters to the weights of the same names."""
    for name, parameter in parameters.items():
        parameter.copy_(weights[name])

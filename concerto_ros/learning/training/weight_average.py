# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Moving average of a model's weights over the last steps of a training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


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


@torch.no_grad()
def copy_weights(
    parameters: Mapping[str, nn.Parameter], weights: Mapping[str, torch.Tensor]
) -> None:
    """Set parameters to the weights of the same names."""
    for name, parameter in parameters.items():
        parameter.copy_(weights[name])

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Classes taught by a few examples: rows that are added to a linear head on frozen features.

A head gives scores ``s_k = w_k x + b_k`` and softmax probabilities. With its existing rows held
fixed, the probability of one more class is the logistic function of ``w x + b - logsumexp(s)``:
the most likely new row is a logistic regression with a known offset, convex, and solved in a
second. It has a ridge penalty, as a few examples say little about hundreds of channels: the row
stays near its initial value, the mean of the rows that predicted the examples before. The scores
of the other classes do not change: a point either keeps its label or takes the taught one.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from concerto_ros.files.finite_tensors import not_finite
from concerto_ros.heads.linear import LinearHead

#: Weight of the ridge penalty beside a mean loss of 1, for channels of unit variance.
RIDGE = 1e-3
#: A class is fitted to at most this many examples and as many counterexamples; of more, every n-th
#: is taken.
MAX_ROWS = 4096
#: Several taught classes are fitted one after the other, in this many rounds.
_ROUNDS = 3
_STEPS = 100


@dataclass(frozen=True, eq=False)
class Examples:
    """Features of points that show a class, and of points that do not.

    Attributes:
        showing: (P, C) float32.
        other: (N, C) float32.
    """

    showing: torch.Tensor
    other: torch.Tensor

    def joined(self, more: Examples) -> Examples:
        """Return these examples and ``more`` together."""
        return Examples(
            torch.cat([self.showing, more.showing]), torch.cat([self.other, more.other])
        )

    def thinned(self) -> Examples:
        """Return at most ``MAX_ROWS`` examples and as many counterexamples, evenly spaced."""
        return Examples(_thinned(self.showing), _thinned(self.other))


def taught_head(base: LinearHead, examples_by_label: Mapping[int, Examples]) -> LinearHead:
    """Return a copy of ``base`` with the rows of the taught classes, float32 on the CPU.

    What shows one class is a counterexample of every other taught class. A class without any
    counterexample keeps its initial row, as nothing would limit a fitted one.

    Args:
        base: the head as it was loaded; it does not change.
        examples_by_label: the examples of each taught class. Labels of ``base`` are refined,
            starting from their row; labels from ``base.num_classes`` on, without a gap, are new.

    Raises:
        ValueError: the labels have a gap or are negative, or features or the rows fitted to them
            are not finite.
    """
    for label, examples in examples_by_label.items():
        if faults := not_finite(vars(examples)):
            raise ValueError(
                f"features of the examples of label {label} are not finite (NaN or infinity):"
                f" {faults}; expected finite features"
            )
    first = base.num_classes
    count = first + sum(label >= first for label in examples_by_label)
    if any(not 0 <= label < count for label in examples_by_label):
        labels = sorted(examples_by_label)
        raise ValueError(f"labels are {labels}, expected all of 0 to {count - 1}")
    weight = torch.zeros(count, base.in_channels)
    bias = torch.zeros(count)
    weight[:first] = base.seg_head.weight.detach().float().cpu()
    bias[:first] = base.seg_head.bias.detach().float().cpu()
    thinned = {label: examples.thinned() for label, examples in examples_by_label.items()}
    for label, own in list(thinned.items()):
        thinned[label] = Examples(own.showing, counterexamples(base, label, own))
        if label >= first:  # starts from the mean of the rows that predicted its examples
            scores = own.showing @ weight[:first].T + bias[:first]
            share = scores.softmax(dim=1).mean(dim=0)
            weight[label], bias[label] = share @ weight[:first], share @ bias[:first]
    initial = {label: (weight[label].clone(), bias[label].clone()) for label in thinned}
    for _ in range(1 if len(thinned) == 1 else _ROUNDS):
        for label, own in thinned.items():
            showing_others = (e.showing for key, e in thinned.items() if key != label)
            against = torch.cat([own.other, *showing_others])
            if not len(against):
                continue
            rivals = [row for row in range(count) if row != label]
            weight[label], bias[label] = _fitted_row(
                Examples(own.showing, against),
                weight[rivals],
                bias[rivals],
                initial[label],
            )
    head = LinearHead(base.in_channels, count, name=base.name, trained=base.trained)
    head.preset, head.encoder, head.temperature = base.preset, base.encoder, base.temperature
    head.familiarity = copy.deepcopy(base.familiarity)
    rows = {"seg_head.weight": weight, "seg_head.bias": bias}
    if faults := not_finite(rows):
        raise ValueError(
            f"the head with the taught rows is not finite (NaN or infinity): {faults}; expected"
            " a head and features of moderate size"
        )
    head.load_state_dict(head.state_dict() | rows)
    return head.eval().requires_grad_(False)


def counterexamples(base: LinearHead, label: int, examples: Examples) -> torch.Tensor:
    """Return the features that show what the class ``label`` is not, (n, C).

    All of ``examples.other`` for a new class; for a class of ``base`` those that ``base`` labels
    differently.
    """
    if label >= base.num_classes:
        return examples.other
    weight, bias = (value.detach().float().cpu() for value in base.seg_head.parameters())
    predicted = (examples.other @ weight.T + bias).argmax(dim=1)
    return examples.other[predicted != label]


def _fitted_row(
    examples: Examples,
    weight: torch.Tensor,
    bias: torch.Tensor,
    start: tuple[torch.Tensor, torch.Tensor],
) -> tuple[torch.Tensor, torch.Tensor]:
    """Fit the row (C,) and bias that separate ``examples`` from the classes of ``weight``.

    ``start`` is the row and bias that the penalty draws back to.
    """
    feat = torch.cat([examples.showing, examples.other])
    shown = len(examples.showing)
    offset = (feat @ start[0] + start[1]) - torch.logsumexp(feat @ weight.T + bias, dim=1)
    # Examples and counterexamples weigh the same in total, however many there are of each.
    rows_weight = torch.full((len(feat),), 0.5 / (len(feat) - shown))
    rows_weight[:shown] = 0.5 / shown
    target = (torch.arange(len(feat)) < shown).float()

    mean, spread = feat.mean(dim=0), feat.std(dim=0, correction=0)
    spread = torch.where(spread > 1e-3 * spread.mean(), spread, 1e30)
    unit = (feat - mean) / spread
    step = torch.zeros(feat.shape[1] + 1)

    def loss(value: torch.Tensor) -> torch.Tensor:
        logit = unit @ value[:-1] + value[-1] + offset
        each = torch.nn.functional.binary_cross_entropy_with_logits(
            logit, target, weight=rows_weight, reduction="sum"
        )
        return each + 0.5 * RIDGE * value[:-1].square().sum()

    step = _minimised(loss, step)
    row = step[:-1] / spread
    return start[0] + row, start[1] + step[-1] - mean @ row


def _minimised(loss: Callable[[torch.Tensor], torch.Tensor], start: torch.Tensor) -> torch.Tensor:
    """Minimise a smooth convex function by L-BFGS (Nocedal and Wright, algorithm 7.5)."""
    value = start.clone().requires_grad_(True)
    solver = torch.optim.LBFGS(
        [value], max_iter=_STEPS, tolerance_grad=1e-5, line_search_fn="strong_wolfe"
    )

    def evaluate() -> torch.Tensor:
        solver.zero_grad()
        result = loss(value)
        result.backward()
        return result

    with torch.inference_mode(False), torch.enable_grad():
        solver.step(evaluate)
    return value.detach()


def _thinned(rows: torch.Tensor) -> torch.Tensor:
    every = -(-len(rows) // MAX_ROWS)
    return rows[:: max(1, every)]

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Classes taught by a few examples: rows that are added to a linear head on frozen features.

A head gives scores ``s_k = w_k x + b_k`` and softmax probabilities. With the rows that it has
held fixed, the probability of one more class is the logistic function of
``w x + b - logsumexp(s)``: the most likely new row is a logistic regression with a known offset,
convex, and solved in a second. It is ridge-penalised, as a few examples say little about hundreds
of channels: the row stays near to what it began as, a copy of what the examples were called
before. What the other classes score does not change: a point either keeps its label or takes the
taught one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from concerto_ros.heads.linear import LinearHead

#: Weight of the ridge penalty beside a mean loss of 1, for channels of unit variance.
RIDGE = 1e-3
#: Most rows of either kind that a class is fitted to; of more, every n-th is taken.
MAX_ROWS = 4096
#: Several taught classes are fitted one after the other, so many times round.
_ROUNDS = 3
_STEPS = 100


@dataclass(frozen=True, eq=False)
class Examples:
    """Features of points that show a class, (P, C), and of points that do not, (N, C); float32."""

    showing: torch.Tensor
    other: torch.Tensor

    def joined(self, more: Examples) -> Examples:
        """Both together."""
        return Examples(
            torch.cat([self.showing, more.showing]), torch.cat([self.other, more.other])
        )

    def thinned(self) -> Examples:
        """At most ``MAX_ROWS`` of either kind, evenly spaced."""
        return Examples(_thinned(self.showing), _thinned(self.other))


def taught_head(base: LinearHead, lessons: Mapping[int, Examples]) -> LinearHead:
    """``base`` with the rows that ``lessons`` ask for; ``base`` stays as it is.

    The keys are labels: those of ``base`` are refined, beginning at the row they have, and those
    from ``base.num_classes`` on, without a gap, are new. What shows one class is an example
    against every other one taught. A class without any example against it keeps the row it
    begins with: nothing would hold back a better one. The result is float32 on the CPU.
    """
    first = base.num_classes
    count = first + sum(label >= first for label in lessons)
    if any(not 0 <= label < count for label in lessons):
        raise ValueError(f"labels are {sorted(lessons)}, expected 0 to {count - 1} without a gap")
    weight = torch.zeros(count, base.in_channels)
    bias = torch.zeros(count)
    weight[:first] = base.seg_head.weight.detach().float().cpu()
    bias[:first] = base.seg_head.bias.detach().float().cpu()
    lessons = {label: examples.thinned() for label, examples in lessons.items()}
    for label, own in list(lessons.items()):
        lessons[label] = Examples(own.showing, counterexamples(base, label, own))
        if label >= first:  # begins as what its examples are called without it
            called = own.showing @ weight[:first].T + bias[:first]
            share = called.softmax(dim=1).mean(dim=0)
            weight[label], bias[label] = share @ weight[:first], share @ bias[:first]
    begun = {label: (weight[label].clone(), bias[label].clone()) for label in lessons}
    for _ in range(1 if len(lessons) == 1 else _ROUNDS):
        for label, own in lessons.items():
            showing_others = (e.showing for key, e in lessons.items() if key != label)
            against = torch.cat([own.other, *showing_others])
            if not len(against):
                continue
            rivals = [row for row in range(count) if row != label]
            weight[label], bias[label] = _fitted_row(
                Examples(own.showing, against),
                weight[rivals],
                bias[rivals],
                begun[label],
            )
    head = LinearHead(base.in_channels, count, name=base.name, trained=base.trained)
    head.preset = base.preset
    head.load_state_dict({"seg_head.weight": weight, "seg_head.bias": bias})
    return head.eval().requires_grad_(False)


def counterexamples(base: LinearHead, label: int, examples: Examples) -> torch.Tensor:
    """What of ``examples.other`` says what the class ``label`` is not, (n, C).

    Of a class of ``base`` that is what it calls something else.
    """
    if label >= base.num_classes:
        return examples.other
    weight, bias = (value.detach().float().cpu() for value in base.seg_head.parameters())
    called = (examples.other @ weight.T + bias).argmax(dim=1)
    return examples.other[called != label]


def _fitted_row(
    examples: Examples,
    weight: torch.Tensor,
    bias: torch.Tensor,
    start: tuple[torch.Tensor, torch.Tensor],
) -> tuple[torch.Tensor, torch.Tensor]:
    """The row (C,) and its bias that tell ``examples`` apart from the classes of ``weight``.

    ``start``: row and bias that the penalty draws back to.
    """
    feat = torch.cat([examples.showing, examples.other])
    shown = len(examples.showing)
    offset = (feat @ start[0] + start[1]) - torch.logsumexp(feat @ weight.T + bias, dim=1)
    # Both kinds weigh the same, however many there are of each.
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


def _minimised(loss, start: torch.Tensor) -> torch.Tensor:
    """The minimum of a smooth convex function by L-BFGS (Nocedal and Wright, algorithm 7.5)."""
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

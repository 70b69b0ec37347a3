# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Classes taught by a few examples: rows that are added to a head on frozen features.

A head gives logits ``s_k`` and softmax probabilities. With its existing logits held fixed, the
probability of one more class is the logistic function of ``w x + b - logsumexp(s)``: the most
likely new row is a logistic regression with a known offset, convex, and solved in a second. It has
a ridge penalty, as a few examples say little about hundreds of channels: the logit stays near its
initial value, the mean of the logits that predicted the examples before. The logits of the other
classes do not change: a point either keeps its label or takes the taught one.

The head may be a matrix, whose taught rows then are rows of it, or anything else with logits, such
as words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from concerto_ros.files.finite_tensors import not_finite

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


#: The logits (n, J) of a head for features (n, C), in label order; what follows the classes, such
#: as contrast words, are rivals of all of them.
Logits = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True, eq=False)
class AddedRows:
    """R rows that give logits of taught classes beside those of a head.

    Attributes:
        classes: number of classes of the head.
        labels: of the taught classes: below ``classes`` they take the place of the head's own,
            from there on they are new.
        mix: (R, J), the share that each of the head's logits has in that of a taught class.
        weight: (R, C), what features add to it.
        bias: (R,), likewise.
    """

    classes: int
    labels: Sequence[int]
    mix: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor

    def extend(self, logits: torch.Tensor, products: torch.Tensor) -> torch.Tensor:
        """Return the logits of all classes in label order, then those of the head's other columns.

        Args:
            logits: (n, J) of the head.
            products: (n, R), ``features @ weight.T + bias``.
        """
        new = sum(label >= self.classes for label in self.labels)
        own, other = logits[:, : self.classes], logits[:, self.classes :]
        extended = torch.cat([own, logits.new_zeros(len(logits), new), other], dim=1)
        extended[:, list(self.labels)] = logits @ self.mix.to(logits).T + products
        return extended


def fitted_rows(
    logits: Logits, classes: int, examples_by_label: Mapping[int, Examples]
) -> AddedRows:
    """Fit the rows of taught classes, float32 on the CPU.

    What shows one class is a counterexample of every other taught class. A class without any
    counterexample keeps its initial logit, as nothing would limit a fitted row.

    Args:
        logits: the head as it was loaded.
        classes: how many classes it has.
        examples_by_label: the examples of each taught class. Classes of the head are refined,
            starting from their logit; labels from ``classes`` on, without a gap, are new.

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
    count = classes + sum(label >= classes for label in examples_by_label)
    if any(not 0 <= label < count for label in examples_by_label):
        labels = sorted(examples_by_label)
        raise ValueError(f"labels are {labels}, expected all of 0 to {count - 1}")
    thinned = {}
    for label, examples in examples_by_label.items():
        few = examples.thinned()
        thinned[label] = Examples(few.showing, counterexamples(logits, classes, label, few))
    rows = _initial_rows(logits, classes, thinned)
    for _ in range(1 if len(thinned) == 1 else _ROUNDS):
        for row, (label, own) in enumerate(thinned.items()):
            showing_others = (e.showing for key, e in thinned.items() if key != label)
            against = torch.cat([own.other, *showing_others])
            if not len(against):
                continue
            feat = torch.cat([own.showing, against])
            given = logits(feat)
            extended = rows.extend(given, feat @ rows.weight.T + rows.bias)
            rivals = torch.cat([extended[:, :label], extended[:, label + 1 :]], dim=1)
            offset = given @ rows.mix[row] - torch.logsumexp(rivals, dim=1)
            rows.weight[row], rows.bias[row] = _fitted_row(feat, len(own.showing), offset)
    if faults := not_finite({"weight": rows.weight, "bias": rows.bias, "mix": rows.mix}):
        raise ValueError(
            f"the head with the taught rows is not finite (NaN or infinity): {faults}; expected"
            " a head and features of moderate size"
        )
    return rows


def _initial_rows(
    logits: Logits, classes: int, examples_by_label: Mapping[int, Examples]
) -> AddedRows:
    """The logit of each class itself, or for a new one the mean of what its examples were."""
    mixes, channels = [], 0
    for label, examples in examples_by_label.items():
        share = logits(examples.showing).softmax(dim=1).mean(dim=0)
        if label < classes:
            share = torch.zeros_like(share)
            share[label] = 1.0
        mixes.append(share)
        channels = examples.showing.shape[1]
    size = len(mixes)
    return AddedRows(
        classes,
        tuple(examples_by_label),
        torch.stack(mixes),
        torch.zeros(size, channels),
        torch.zeros(size),
    )


def counterexamples(logits: Logits, classes: int, label: int, examples: Examples) -> torch.Tensor:
    """Return the features that show what the class ``label`` is not, (n, C).

    All of ``examples.other`` for a new class; for a class of the head those that the head labels
    differently.
    """
    if label >= classes:
        return examples.other
    return examples.other[logits(examples.other).argmax(dim=1) != label]


def _fitted_row(
    feat: torch.Tensor, shown: int, offset: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Fit the row (C,) and bias that tell the first ``shown`` rows of ``feat`` from the others.

    Args:
        feat: (n, C), examples and after them counterexamples.
        shown: how many of them are examples.
        offset: (n,), the logit of the class without the row, less the logsumexp of its rivals; the
            penalty draws the row to zero.
    """
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
    return row, step[-1] - mean @ row


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

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The training of MixCon3D: epochs, tests, checkpoints, resuming.

Every random choice follows from the seed, the epoch and the shape, so a run that was killed goes
on as if it had not been (on a CPU, bit for bit).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from concerto_ros.files.digest import digest, weights_digest
from concerto_ros.learning.objects.data.openshape import TrainingSplit
from concerto_ros.learning.objects.data.openshape_tests import WordTest
from concerto_ros.learning.objects.mixcon3d.contrast import Contrast, ContrastModel
from concerto_ros.learning.objects.mixcon3d.files import save_contrast
from concerto_ros.learning.objects.mixcon3d.optimisation import (
    Batch,
    Optimisation,
    WarmUpAndCosine,
)
from concerto_ros.learning.objects.mixcon3d.recipe import ContrastRecipe
from concerto_ros.learning.objects.mixcon3d.samples import EpochBatches
from concerto_ros.learning.objects.protocols.word_tests import check_words, score_by_words
from concerto_ros.learning.objects.training.scores import RankedAccuracy
from concerto_ros.learning.training.prefetch import Prefetched, worth_making_ahead
from concerto_ros.learning.training.run_state import StateFile
from concerto_ros.learning.training.scalars import Scalars

#: Weights that are tested, the averaged ones first: they choose the best.
TESTED = ("average", "live")


@dataclass(frozen=True, kw_only=True)
class ContrastOptions:
    """How a training runs.

    Attributes:
        folder: Where ``training.pt`` (from which a run resumes), ``last.pt``, ``best.pt`` and
            TensorBoard's files are written.
        tests: Test sets by name; the averaged weights with the best top-1 accuracy on the first
            one are kept as the best.
        test_every: Epochs between tests.
        seed: Of all random choices.
        workers: Processes that read shapes; 0: none beside this one.
        device: Where to train.
        precision: Of the encoder's matrix products, see
            :func:`~concerto_ros.ptv3.precision.training_precision`.
        progress: Whether to show a progress bar.
    """

    folder: Path
    tests: Mapping[str, WordTest] = field(default_factory=dict)
    test_every: int = 1
    seed: int = 0
    workers: int = 0
    device: torch.device | str = "cpu"
    precision: str = "auto"
    progress: bool = False


@dataclass(frozen=True)
class Epoch:
    """What is known of an epoch.

    Attributes:
        number: Counted from 1.
        losses: Means over its steps, by name.
        scores: Top-1, top-3, top-5 and class mean, by test set and weights; empty without a test.
    """

    number: int
    losses: Mapping[str, float]
    scores: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class ContrastResult:
    """The result of a training.

    Attributes:
        epochs: All epochs.
        seconds: Duration, with that of the run before it was resumed.
        best_epoch: The epoch of ``best.pt``; None without tests.
        best_top1: Its top-1 accuracy on the first test set; None without tests.
    """

    epochs: tuple[Epoch, ...]
    seconds: float
    best_epoch: int | None
    best_top1: float | None


def train_contrast(
    model: ContrastModel, split: TrainingSplit, recipe: ContrastRecipe, options: ContrastOptions
) -> ContrastResult:
    """Train ``model`` in place, from the state in the folder if there is one.

    Raises:
        ValueError: If the split is smaller than the batches of a step, a file is missing or wrong,
            the loss is not finite, or the folder holds the state of another run.
    """
    return _Run(model, split, recipe, options).to_the_end()


class _Run:
    """One training; see :func:`train_contrast`."""

    def __init__(
        self,
        model: ContrastModel,
        split: TrainingSplit,
        recipe: ContrastRecipe,
        options: ContrastOptions,
    ):
        self.model, self.recipe, self.options = model.to(options.device), recipe, options
        self.batches = EpochBatches(
            split,
            recipe.points,
            model.encoder.feature_channels,
            recipe.batch_size,
            recipe.accumulate,
            options.seed,
            options.workers,
        )
        steps = self.batches.steps
        if not steps:
            raise ValueError(
                f"{split.name} has {len(split)} shapes, expected at least batch_size times"
                f" accumulate, {recipe.batch_size} x {recipe.accumulate}, for one step"
            )
        for test in options.tests.values():
            check_words(model.encoder, test)
        self.identity = {
            "method": "mixcon3d",
            "recipe": asdict(recipe),
            "shapes": digest(split.ids),
            "tests": list(options.tests),
            "test_every": options.test_every,
            "seed": options.seed,
            "weights to start from": weights_digest(model, recipe.size),
        }
        schedule = WarmUpAndCosine(
            recipe.learning_rate, recipe.end_rate, recipe.warm_up * steps, recipe.epochs * steps
        )
        self.optimisation = Optimisation(
            model,
            schedule,
            decay=recipe.average,
            weight_decay=recipe.weight_decay,
            precision=options.precision,
        )
        self.file = StateFile(options.folder)
        self.seconds = 0.0
        self.epochs: list[dict[str, Any]] = []
        self.sums: dict[str, float] = {}
        self.best: dict[str, Any] | None = None

    def to_the_end(self) -> ContrastResult:
        from tqdm import tqdm

        state = self.file.read(self.identity)
        if state is not None:
            self.optimisation.restore(state)
            self.seconds, self.epochs = state["seconds"], state["epochs"]
            self.sums, self.best = state["sums"], state["best"]
        board = Scalars(self.options.folder, self.optimisation.step)
        started = time.monotonic() - self.seconds
        self.file.wait()
        total = self.recipe.epochs * self.batches.steps
        hidden = not self.options.progress
        with tqdm(total=total, initial=self.optimisation.step, disable=hidden, unit="step") as bar:
            while len(self.epochs) < self.recipe.epochs:
                for together in self._epoch():
                    rate = self.optimisation.rate
                    losses = self.optimisation.take_step(together)
                    self._count(losses, rate, board)
                    bar.set_postfix_str(self._shown(losses))
                    bar.update()
                    self.seconds = time.monotonic() - started
                    if self.file.due:
                        self._save()
                self._finish_epoch(board)
                self.seconds = time.monotonic() - started
                self._save()
        board.close()
        self.model.eval()
        best = self.best or {"epoch": None, "top1": None}
        epochs = tuple(Epoch(**epoch) for epoch in self.epochs)
        return ContrastResult(epochs, self.seconds, best["epoch"], best["top1"])

    def _epoch(self) -> Iterator[list[Batch]]:
        """Yield the batches of each step that is left of this epoch, on the device."""
        device, steps = torch.device(self.options.device), self.batches.steps
        first = self.optimisation.step - len(self.epochs) * steps
        read = self.batches.epoch(len(self.epochs), first)
        batches: Prefetched[int, list[Batch]] = Prefetched(  # in the order in which they are read
            lambda _: [batch.to(device) for batch in next(read)], ahead=worth_making_ahead(device)
        )
        with closing(batches):
            for step in range(first, steps):
                yield batches.take(step, step + 1 if step + 1 < steps else None)

    def _count(self, losses: Contrast, rate: float, board: Scalars) -> None:
        values = {name: float(loss) for name, loss in losses.losses.items()}
        values["total"] = float(losses.total)
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        step = self.optimisation.step
        if step % 10 == 0 or step % self.batches.steps == 0:
            scales = {name: float(p.detach().exp()) for name, p in self.model.scales.items()}
            accuracies = {
                "point_text": float(losses.point_text_accuracy),
                "point_image": float(losses.point_image_accuracy),
            }
            board.add("loss", step, values)
            board.add("accuracy", step, accuracies)
            board.add("scale", step, scales)
            board.add("train", step, {"learning_rate": rate})

    def _finish_epoch(self, board: Scalars) -> None:
        number, steps = len(self.epochs) + 1, self.batches.steps
        losses = {name: value / steps for name, value in self.sums.items()}
        scores, options = {}, self.options
        last = number == self.recipe.epochs
        if options.tests and (number % options.test_every == 0 or last):
            scores = self._test()
            for name, score in scores.items():
                board.add(f"test {name}", self.optimisation.step, score)
        self.epochs.append({"number": number, "losses": losses, "scores": scores})
        self.sums = {}
        self._write("last.pt", number)
        if scores:
            top1 = next(iter(scores.values()))["top-1"]
            if self.best is None or top1 > self.best["top1"]:
                self.best = {"epoch": number, "top1": top1}
                self._write("best.pt", number)

    def _test(self) -> dict[str, dict[str, float]]:
        encoders = dict(zip(TESTED, (self.optimisation.average.encoder, self.model.encoder),
                            strict=True))  # fmt: skip
        self.model.eval()
        return {
            f"{name}, {kind}": _plain(score_by_words(encoder, test, device=self.options.device))
            for name, test in self.options.tests.items()
            for kind, encoder in encoders.items()
        }

    def _write(self, name: str, epoch: int) -> None:
        average = self.optimisation.average.encoder
        step = self.optimisation.step
        save_contrast(self.options.folder / name, self.model, average, epoch=epoch, step=step)

    def _save(self) -> None:
        state = {"run": self.identity, "seconds": self.seconds, "epochs": self.epochs}
        state |= {"sums": self.sums, "best": self.best}
        self.file.write(state | self.optimisation.state())

    def _shown(self, losses: Contrast) -> str:
        best = "" if self.best is None else f", best top-1 {100 * self.best['top1']:.1f} %"
        return f"loss {float(losses.total):.3f}{best}"


def _plain(score: RankedAccuracy) -> dict[str, float]:
    shares = {f"top-{rank}": share for rank, share in score.top.items()}
    return shares | {"class mean": score.class_mean}

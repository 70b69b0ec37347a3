# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The training loop of object encoders.

Every random choice of an epoch follows from the seed and the epoch alone, so a run that was killed
resumes as if it had not been (on a CPU, bit for bit).
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import nn

from concerto_ros.files.digest import weights_digest
from concerto_ros.files.finite_tensors import not_finite
from concerto_ros.learning.objects.training.recipes import ObjectTrainingConfig
from concerto_ros.learning.training.prefetch import Prefetched, worth_making_ahead
from concerto_ros.learning.training.run_state import load_training, save_training
from concerto_ros.learning.training.scalars import Scalars
from concerto_ros.learning.training.stochastic_depth import stochastic_depth
from concerto_ros.objects.encoders.shared.layers import ResidualBlock
from concerto_ros.ptv3.precision import training_precision


class TrainingData(Protocol):
    """What a run asks of the objects that it learns from."""

    def __len__(self) -> int: ...

    def identity(self) -> Mapping[str, Any]:
        """What tells these objects from others, as plain values by name."""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How a training runs, whatever it trains.

    Attributes:
        test: What ``score`` of the run takes, usually the test set; scored every ``test_every``
            epochs and after the last. None for no scores.
        test_every: Epochs between scores.
        seed: Of all random choices.
        folder: Keeps the state of the run after each epoch and its curves for TensorBoard, and the
            run resumes from there if method, recipe, seed, objects, the initial weights and
            ``about`` are the same. None to keep nothing.
        device: Where to train.
        precision: Of matrix products, see
            :func:`~concerto_ros.ptv3.precision.training_precision`.
        about: What else distinguishes the run from others, by name.
        progress: Whether to show a progress bar.
    """

    test: Any = None
    test_every: int = 1
    seed: int = 0
    folder: Path | None = None
    device: torch.device | str = "cpu"
    precision: str = "auto"
    about: Mapping[str, Any] = field(default_factory=dict)
    progress: bool = False


#: On the CPU, without a test set and without a folder.
DEFAULT_OPTIONS = RunOptions()


@dataclass(frozen=True)
class ObjectTrainingResult:
    """The result of a training.

    Published numbers are best ones, so they are chosen by the test set itself. The encoder keeps
    the weights of the last epoch.

    Attributes:
        epochs: Epochs that were run.
        seconds: Duration.
        last: Score on the test set after the last epoch; None without a test set.
        best: The best score; None without a test set.
        best_epoch: Its epoch; None without a test set.
        best_weights: The state dict of the model after that epoch, on the CPU; None without a
            test set.
        history: The mean of each loss, by name, epoch after epoch.
        scores: Epoch and score of every test.
    """

    epochs: int
    seconds: float
    last: float | None
    best: float | None
    best_epoch: int | None
    best_weights: dict[str, torch.Tensor] | None = field(default=None, repr=False, compare=False)
    history: tuple[dict[str, float], ...] = field(default=(), repr=False)
    scores: tuple[tuple[int, float], ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class TestedResult:
    """An :class:`ObjectTrainingResult` with scores.

    Attributes:
        last: Score on the test set after the last epoch.
        best: The best score.
        best_epoch: Its epoch.
    """

    last: float
    best: float
    best_epoch: int


def tested(result: ObjectTrainingResult) -> TestedResult:
    """Return the scores of a training that had a test set.

    Raises:
        ValueError: If it had none.
    """
    if result.last is None or result.best is None or result.best_epoch is None:
        raise ValueError("the training has no scores, expected one with a test set")
    return TestedResult(result.last, result.best, result.best_epoch)


def residual_branches(encoder: nn.Module) -> list[list[nn.Module]]:
    """Return what each transformer block of an object encoder adds to its tokens, by block."""
    blocks = (block for block in encoder.modules() if isinstance(block, ResidualBlock))
    return [block.branches() for block in blocks]


#: The model that a run trains.
Model = TypeVar("Model", bound=nn.Module)

#: From name, value and recipe to peak learning rate and weight decay of a parameter.
RateAndDecay = Callable[[str, nn.Parameter, ObjectTrainingConfig], tuple[float, float]]


def parameter_groups(
    parameters: Mapping[str, nn.Parameter],
    recipe: ObjectTrainingConfig,
    rate_and_decay: RateAndDecay,
) -> list[dict[str, Any]]:
    """Group parameters by peak learning rate and weight decay, for the optimiser."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, value in parameters.items():
        groups.setdefault(rate_and_decay(name, value, recipe), []).append(value)
    return [
        {"params": members, "weight_decay": decay, "highest": highest}
        for (highest, decay), members in groups.items()
    ]


class TrainingRun(ABC, Generic[Model]):
    """One training of a model on the objects of ``train``.

    Args:
        model: Trained in place.
        train: The training objects.
        recipe: The fine-tuning.
        parameters: Those that learn, by name.
        rate_and_decay: Peak learning rate and weight decay of a parameter.
        options: How the run goes.
        method: How ``parameters`` were chosen; a run of another method does not resume this one.
    """

    def __init__(
        self,
        model: Model,
        train: TrainingData,
        recipe: ObjectTrainingConfig,
        parameters: dict[str, nn.Parameter],
        rate_and_decay: RateAndDecay,
        options: RunOptions,
        method: str,
    ):
        self.device, folder = torch.device(options.device), options.folder
        self.model, self.train, self.recipe = model.to(self.device), train, recipe
        self.options, self.seed = options, options.seed
        training_precision(self.device, options.precision)  # a wrong name is said at once
        self.path = None if folder is None else Path(folder) / "training.pt"
        self.epoch, self.seconds = 0, 0.0
        self.tested: list[list[float]] = []
        self.history: list[dict[str, float]] = []
        self.best_weights: dict[str, torch.Tensor] | None = None
        model.requires_grad_(False)
        self.parameters = parameters
        for value in parameters.values():
            value.requires_grad_(True)
        groups = parameter_groups(parameters, recipe, rate_and_decay)
        self.optimizer = torch.optim.AdamW(groups, lr=recipe.learning_rate)
        self._identity = {} if folder is None else self._describe(method)

    @abstractmethod
    def batch(self, rows: torch.Tensor, generator: torch.Generator) -> Any:
        """Return what :meth:`loss` takes of the objects at ``rows`` (B,), on the device.

        On a GPU a thread calls this while the step before computes its gradients.
        """

    @abstractmethod
    def loss(
        self, batch: Any, generator: torch.Generator
    ) -> torch.Tensor | dict[str, torch.Tensor]:
        """Compute the loss of a :meth:`batch`, or several by name, which are added."""

    @abstractmethod
    def score(self, test: Any) -> float:
        """Score the model on ``test`` of the options; higher is better."""

    def towers(self) -> list[list[list[nn.Module]]]:
        """Return the branches by block of each tower of blocks.

        In each, stochastic depth rises from 0 in the first block to that of the recipe.
        """
        return [residual_branches(self.model)]

    def to_the_end(self) -> ObjectTrainingResult:
        """Train all epochs, from the state in the folder if there is one.

        Raises:
            ValueError: If a number of the recipe, or ``test_every``, is below 1.
        """
        from tqdm import tqdm

        test, every, progress = self.options.test, self.options.test_every, self.options.progress
        for name, value in (
            ("epochs", self.recipe.epochs),
            ("batch_size", self.recipe.batch_size),
            ("test_every", every),
        ):
            if value < 1:
                raise ValueError(f"{name} is {value}, expected at least 1")
        self._resume()
        last = self.recipe.epochs + self.recipe.extra_epochs
        started = time.monotonic() - self.seconds
        board = Scalars(None if self.path is None else self.path.parent, self.epoch)
        with tqdm(total=last, initial=self.epoch, disable=not progress, unit="epoch") as bar:
            while self.epoch < last:
                loss = self.train_epoch()
                self.epoch += 1
                rate = self.optimizer.param_groups[0]["lr"]
                board.add("train", self.epoch, self.history[-1] | {"learning_rate": rate})
                if test is not None and (self.epoch % every == 0 or self.epoch == last):
                    board.add("test", self.epoch, {"score": self._test(test)})
                self.seconds = time.monotonic() - started
                self._save()
                shown = f", test {self.tested[-1][1]:.3f}" if self.tested else ""
                bar.set_postfix_str(f"loss {loss:.3f}{shown}")
                bar.update()
        board.close()
        self.model.eval().requires_grad_(False)
        return self._result()

    def _test(self, test: Any) -> float:
        """Score the model and, if it never was better, keep a copy of its weights."""
        score = self.score(test)
        if all(score > earlier for _, earlier in self.tested):
            state = self.model.state_dict()
            self.best_weights = {name: v.detach().cpu().clone() for name, v in state.items()}
        self.tested.append([self.epoch, score])
        return score

    def _result(self) -> ObjectTrainingResult:
        history = tuple(self.history)
        if not self.tested:
            return ObjectTrainingResult(
                self.epoch, self.seconds, None, None, None, history=history
            )
        epoch, best = max(self.tested, key=lambda scored: scored[1])
        scores = tuple((int(number), score) for number, score in self.tested)
        return ObjectTrainingResult(
            self.epoch, self.seconds, scores[-1][1], best, int(epoch),
            self.best_weights, history, scores,
        )  # fmt: skip

    def train_epoch(self) -> float:
        """Train one epoch and return the mean loss."""
        recipe, total = self.recipe, len(self.train)
        for group in self.optimizer.param_groups:
            group["lr"] = recipe.rate(self.epoch, group["highest"])
        generator = torch.Generator().manual_seed(1_000_003 * self.seed + self.epoch)
        order = torch.randperm(total, generator=generator)
        size = min(recipe.batch_size, total)
        rows = order[: total // size * size].split(size)
        batches: Prefetched[int, Any] = Prefetched(
            lambda number: self.batch(rows[number], generator),
            ahead=worth_making_ahead(self.device),
        )
        losses: list[dict[str, torch.Tensor]] = []
        self.model.train()
        cuda = [self.device] if self.device.type == "cuda" else []
        with ExitStack() as stack:
            for tower in self.towers():
                stack.enter_context(stochastic_depth(tower, recipe.drop_path, generator))
            # Dropout draws from the process's own generator.
            stack.enter_context(torch.random.fork_rng(cuda))
            torch.manual_seed(1_000_003 * self.seed + self.epoch)
            stack.enter_context(closing(batches))
            for number in range(len(rows)):
                following = number + 1 if number + 1 < len(rows) else None
                losses.append(self._train_step(batches, number, following, generator))
        if faults := not_finite(self.parameters):  # before they are tested or saved
            raise ValueError(
                f"epoch {self.epoch}: the weights are not finite (NaN or infinity): {faults};"
                " expected finite numbers; lower the learning rate"
                f" (now {recipe.learning_rate:.2g})"
            )
        means = {
            name: float(torch.stack([step[name] for step in losses]).mean()) for name in losses[0]
        }
        self.history.append(means)
        return means["loss"]

    def _train_step(
        self,
        batches: Prefetched[int, Any],
        number: int,
        following: int | None,
        generator: torch.Generator,
    ) -> dict[str, torch.Tensor]:
        """Take one step; return the loss as ``loss`` and, where it is a sum, its terms."""
        recipe, batch = self.recipe, batches.take(number)
        with training_precision(self.device, self.options.precision):
            found = self.loss(batch, generator)
        if following is not None:  # the step has drawn all that it draws from the generator
            batches.begin(following)
        terms = found if isinstance(found, dict) else {}
        loss = torch.stack(list(terms.values())).sum() if isinstance(found, dict) else found
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.parameters.values(), recipe.clip)
        if not torch.isfinite(norm):
            raise ValueError(
                f"epoch {self.epoch}: the gradient's norm is {float(norm)}, expected a finite"
                f" number; lower the learning rate (now {recipe.learning_rate:.2g})"
            )
        self.optimizer.step()
        return {name: value.detach() for name, value in {"loss": loss, **terms}.items()}

    def _describe(self, method: str) -> dict[str, Any]:
        """Describe what must not change when a run resumes; called before the model learns."""
        shapes = {name: list(value.shape) for name, value in self.parameters.items()}
        return {
            "method": method,
            **self.options.about,
            "recipe": self.recipe.identity(),
            **self.train.identity(),
            "seed": self.seed,
            "parameters": shapes,
            "weights to start from": weights_digest(self.model, type(self.model).__name__),
        }

    def _save(self) -> None:
        if self.path is None:
            return
        content = {"run": self._identity, "epoch": self.epoch, "seconds": self.seconds}
        content |= {"tested": self.tested, "optimizer": self.optimizer.state_dict()}
        content |= {"history": self.history, "best": {"weights": self.best_weights or {}}}
        save_training(self.path, content | {"weights": self.model.state_dict()})

    def _resume(self) -> None:
        if self.path is None or not self.path.is_file():
            return
        state = load_training(self.path, self._identity)
        self.model.load_state_dict(state["weights"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch, self.seconds = state["epoch"], state["seconds"]
        self.tested, self.history = state["tested"], state.get("history", [])
        self.best_weights = state.get("best", {}).get("weights") or None

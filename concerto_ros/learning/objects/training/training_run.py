# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The loop that trainings of object encoders share.

Every random choice of an epoch follows from the seed and the epoch alone, so a run that was killed
goes on as if it had not been (on a CPU, bit for bit).
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from concerto_ros.files.digest import digest, weights_digest
from concerto_ros.learning.objects.data.object_set import ObjectSet
from concerto_ros.learning.objects.training.recipes import ObjectTrainingConfig
from concerto_ros.learning.training.run_state import load_training, save_training
from concerto_ros.learning.training.stochastic_depth import stochastic_depth
from concerto_ros.objects.encoders.shared.layers import ResidualBlock


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How a training runs, whatever it trains.

    Attributes:
        test: Scored every ``test_every`` epochs and after the last.
        folder: Keeps the state of the run after each epoch, and the run resumes from there if
            method, recipe, seed, objects, the weights to start from and ``about`` are the same.
        about: What else distinguishes the run from others, by name.
    """

    test: ObjectSet | None = None
    test_every: int = 1
    seed: int = 0
    folder: Path | None = None
    device: torch.device | str = "cpu"
    about: Mapping[str, Any] = field(default_factory=dict)
    progress: bool = False


#: On the CPU, without a test set and without a folder.
DEFAULT_OPTIONS = RunOptions()


@dataclass(frozen=True)
class ObjectTrainingResult:
    """``epochs`` run in ``seconds``; score on the test set after the last, and the best of all.

    Published numbers are such best ones, so they are chosen by the test set itself. None without
    a test set. The encoder keeps the weights of the last epoch.
    """

    epochs: int
    seconds: float
    last: float | None
    best: float | None
    best_epoch: int | None


def residual_branches(encoder: nn.Module) -> list[list[nn.Module]]:
    """What each transformer block of an object encoder adds to its tokens, block by block."""
    blocks = (block for block in encoder.modules() if isinstance(block, ResidualBlock))
    return [block.branches() for block in blocks]


#: From name, value and recipe to the highest learning rate of a parameter and its weight decay.
RateAndDecay = Callable[[str, nn.Parameter, ObjectTrainingConfig], tuple[float, float]]


def parameter_groups(
    parameters: Mapping[str, nn.Parameter],
    recipe: ObjectTrainingConfig,
    rate_and_decay: RateAndDecay,
) -> list[dict[str, Any]]:
    """The optimiser's groups: by highest learning rate and weight decay."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, value in parameters.items():
        groups.setdefault(rate_and_decay(name, value, recipe), []).append(value)
    return [
        {"params": members, "weight_decay": decay, "highest": highest}
        for (highest, decay), members in groups.items()
    ]


class TrainingRun(ABC):
    """One training of a model on the objects of ``train``."""

    def __init__(
        self,
        model: nn.Module,
        train: ObjectSet,
        recipe: ObjectTrainingConfig,
        parameters: dict[str, nn.Parameter],
        rate_and_decay: RateAndDecay,
        options: RunOptions,
        method: str,
    ):
        """Args:
        parameters: Those that learn, by name.
        method: How they are chosen; a run of another method does not resume this one.
        """
        self.device, folder = torch.device(options.device), options.folder
        self.model, self.train, self.recipe = model.to(self.device), train, recipe
        self.options, self.seed = options, options.seed
        self.path = None if folder is None else Path(folder) / "training.pt"
        self.epoch, self.seconds = 0, 0.0
        self.tested: list[list[float]] = []
        model.requires_grad_(False)
        self.parameters = parameters
        for value in parameters.values():
            value.requires_grad_(True)
        groups = parameter_groups(parameters, recipe, rate_and_decay)
        self.optimizer = torch.optim.AdamW(groups, lr=recipe.learning_rate)
        self._identity = {} if folder is None else self._described(method)

    @abstractmethod
    def loss(self, rows: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """The loss of the objects at ``rows``."""

    @abstractmethod
    def score(self, test: ObjectSet) -> float:
        """How good the model is, the more the better."""

    def to_the_end(self) -> ObjectTrainingResult:
        """Train from where the folder's state is.

        Raises:
            ValueError: For a number of the recipe, or ``test_every``, below 1.
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
        last = self.recipe.epochs + 1  # as the published loops, at the rate of the end
        started = time.monotonic() - self.seconds
        with tqdm(total=last, initial=self.epoch, disable=not progress, unit="epoch") as bar:
            while self.epoch < last:
                loss = self.train_epoch()
                self.epoch += 1
                if test is not None and (self.epoch % every == 0 or self.epoch == last):
                    self.tested.append([self.epoch, self.score(test)])
                self.seconds = time.monotonic() - started
                self._save()
                shown = f", test {self.tested[-1][1]:.3f}" if self.tested else ""
                bar.set_postfix_str(f"loss {loss:.3f}{shown}")
                bar.update()
        self.model.eval().requires_grad_(False)
        best = max(self.tested, key=lambda entry: entry[1], default=[None, None])
        final = self.tested[-1][1] if self.tested else None
        return ObjectTrainingResult(self.epoch, self.seconds, final, best[1], best[0])

    def train_epoch(self) -> float:
        """One pass over the objects; the mean loss."""
        recipe, total = self.recipe, len(self.train)
        for group in self.optimizer.param_groups:
            group["lr"] = recipe.rate(self.epoch, group["highest"])
        generator = torch.Generator().manual_seed(1_000_003 * self.seed + self.epoch)
        order = torch.randperm(total, generator=generator).to(self.device)
        size = min(recipe.batch_size, total)
        losses = []
        self.model.train()
        depth = stochastic_depth(residual_branches(self.model), recipe.drop_path, generator)
        cuda = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(cuda), depth:  # dropout draws from the process's own generator
            torch.manual_seed(1_000_003 * self.seed + self.epoch)
            for rows in order[: total // size * size].split(size):
                losses.append(self._train_step(rows, generator))
        return float(torch.stack(losses).mean())

    def _train_step(self, rows: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        recipe, loss = self.recipe, self.loss(rows, generator)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.parameters.values(), recipe.clip)
        if not torch.isfinite(norm):
            raise ValueError(
                f"epoch {self.epoch}: the gradient's norm is {float(norm)}, expected a finite"
                f" number; lower the learning rate (now {recipe.learning_rate:.2g})"
            )
        self.optimizer.step()
        return loss.detach()

    def _described(self, method: str) -> dict[str, Any]:
        """What must not change between the parts of a run; asked before the model learns."""
        train = self.train
        shapes = {name: list(value.shape) for name, value in self.parameters.items()}
        return {
            "method": method,
            **self.options.about,
            "recipe": asdict(self.recipe),
            "objects": f"{len(train)} of {train.name}",
            "classes": list(train.classes),
            "points": digest([train.points]),
            "labels": digest([train.labels, train.point_labels]),
            "seed": self.seed,
            "parameters": shapes,
            "weights to start from": weights_digest(self.model, type(self.model).__name__),
        }

    def _save(self) -> None:
        if self.path is None:
            return
        content = {"run": self._identity, "epoch": self.epoch, "seconds": self.seconds}
        content |= {"tested": self.tested, "optimizer": self.optimizer.state_dict()}
        save_training(self.path, content | {"weights": self.model.state_dict()})

    def _resume(self) -> None:
        if self.path is None or not self.path.is_file():
            return
        state = load_training(self.path, self._identity)
        self.model.load_state_dict(state["weights"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch, self.seconds = state["epoch"], state["seconds"]
        self.tested = state["tested"]

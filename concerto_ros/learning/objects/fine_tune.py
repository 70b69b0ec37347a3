# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Fine-tuning an object encoder with its head, as published; see ``recipes`` for what differs.

Every random choice of an epoch follows from the seed and the epoch alone, so a run that was killed
goes on as if it had not been (on a CPU, bit for bit).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from concerto_ros.learning.checkpoints import load_training, save_training
from concerto_ros.learning.objects.embedding import as_taken, classify_objects, draw
from concerto_ros.learning.objects.object_set import ObjectSet
from concerto_ros.learning.objects.recipes import Recipe
from concerto_ros.learning.objects.scores import Score
from concerto_ros.learning.stochastic_depth import stochastic_depth
from concerto_ros.objects.any2point import Any2Point
from concerto_ros.objects.augment import (
    random_rotation,
    random_scale_and_shift,
    rotate_about_y,
    scale_and_shift,
)
from concerto_ros.objects.encoder import ObjectEncoder
from concerto_ros.objects.i2p_mae import I2PMAE
from concerto_ros.objects.layers import Attention, Block, Mlp
from concerto_ros.objects.losses import smoothed_cross_entropy
from concerto_ros.objects.recon import ReCon
from concerto_ros.objects.recon_trunk import CrossAttention, ReConBlock
from concerto_ros.objects.voting import CANDIDATES

#: Bounds of the scale of each axis for ScanObjectNN in I2P-MAE's and Any2Point's trainings.
STRETCH = (0.9, 1.1)


def _stretch(points: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    low, high = STRETCH
    scale = low + (high - low) * torch.rand(len(points), 3, generator=generator)
    return scale_and_shift(points, scale.to(points.device), points.new_zeros(1, 3))


def _stretch_turn(points: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return random_rotation(_stretch(points, generator), generator)


def _stretch_turn_together(points: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    points = _stretch(points, generator)
    angle = 2 * math.pi * torch.rand(1, generator=generator)
    return rotate_about_y(points, angle.to(points.device).expand(len(points)))


#: What training does to clouds (B, N, 3), anew for each batch.
CHANGES: dict[str, Callable[[torch.Tensor, torch.Generator], torch.Tensor]] = {
    "scale_shift": random_scale_and_shift,
    "turn": random_rotation,
    "stretch_turn": _stretch_turn,
    "stretch_turn_together": _stretch_turn_together,
}


@dataclass(frozen=True)
class Outcome:
    """``epochs`` run in ``seconds``; score on the test set after the last, and the best of all.

    Published numbers are such best ones, so they are chosen by the test set itself. None without
    a test set. The encoder keeps the weights of the last epoch.
    """

    epochs: int
    seconds: float
    last: float | None
    best: float | None
    best_epoch: int | None


def renew_head(encoder: ObjectEncoder, classes: int, method: str, *, joined: bool = False) -> None:
    """A new head, untrained, for ``classes`` in place of any other.

    joined: I2P-MAE's for ScanObjectNN. Weights come from PyTorch's generator.

    Raises ValueError for an encoder whose head is part of its file.
    """
    if isinstance(encoder, ReCon):
        encoder.add_head(classes, linear=method == "linear")
    elif isinstance(encoder, I2PMAE):
        encoder.add_head(classes, joined=joined)
    elif encoder.classes != classes:
        raise ValueError(
            f"{encoder.name} answers with {encoder.classes} classes, wanted {classes}"
        )


def trained_parameters(encoder: ObjectEncoder, method: str) -> dict[str, nn.Parameter]:
    """What a method (of ``recipes.METHODS``) trains, by name."""
    if method == "adapters":
        if not isinstance(encoder, Any2Point):
            raise ValueError(f"{encoder.name} has no adapters; wanted any2point")
        return encoder.trainable_parameters()
    everything = dict(encoder.named_parameters())
    if method == "full":
        return everything
    return {name: value for name, value in everything.items() if "cls" in name}


def parameter_groups(parameters: dict[str, nn.Parameter], recipe: Recipe) -> list[dict[str, Any]]:
    """The optimiser's groups: by highest learning rate and weight decay.

    Names with "cls" in them decay where the recipe gives them a rate of their own; vectors, biases
    and, unless the recipe says otherwise, names with "token" in them do not.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, value in parameters.items():
        factor, decay = 1.0, recipe.weight_decay
        token = "token" in name and not recipe.tokens_decay
        if recipe.head_factor != 1 and "cls" in name:
            factor = recipe.head_factor
        elif value.ndim <= 1 or name.endswith(".bias") or token:
            decay = 0.0
        groups.setdefault((factor * recipe.learning_rate, decay), []).append(value)
    return [
        {"params": members, "weight_decay": decay, "highest": highest}
        for (highest, decay), members in groups.items()
    ]


def residual_branches(encoder: nn.Module) -> list[list[nn.Module]]:
    """What each transformer block of an object encoder adds to its tokens, block by block."""
    blocks = [block for block in encoder.modules() if isinstance(block, (Block, ReConBlock))]
    kinds = (Attention, CrossAttention, Mlp)
    return [[part for part in block.children() if isinstance(part, kinds)] for block in blocks]


def fine_tune(
    encoder: ObjectEncoder,
    train: ObjectSet,
    recipe: Recipe,
    *,
    method: str = "full",
    test: ObjectSet | None = None,
    test_every: int = 1,
    seed: int = 0,
    folder: Path | None = None,
    device: torch.device | str = "cpu",
    progress: bool = False,
) -> Outcome:
    """Train ``encoder``, which has a head for the classes of ``train``, in place.

    A batch is drawn from the farthest points of each cloud, the same rows of all, and changed as
    the recipe says. What is left of an epoch beside whole batches is left out.
    test: scored every ``test_every`` epochs and after the last. folder: keeps the state of the run
    after each epoch, and the run goes on from there.

    Raises ValueError for an encoder without a head, or a state of another run.
    """
    if encoder.classes is None or encoder.classes < len(train.classes):
        raise ValueError(f"the head has {encoder.classes} classes, wanted {len(train.classes)}")
    run = _Run(encoder, train, recipe, method, seed, folder, device)
    return run.to_the_end(test, test_every, progress)


class _Run:
    """One fine-tuning; see :func:`fine_tune`."""

    def __init__(
        self,
        encoder: ObjectEncoder,
        train: ObjectSet,
        recipe: Recipe,
        method: str,
        seed: int,
        folder: Path | None,
        device: torch.device | str,
    ):
        self.encoder, self.train, self.recipe = encoder.to(device), train, recipe
        self.seed, self.device = seed, torch.device(device)
        self.path = None if folder is None else Path(folder) / "training.pt"
        self.epoch, self.seconds = 0, 0.0
        self.tested: list[list[float]] = []
        encoder.requires_grad_(False)
        self.parameters = trained_parameters(encoder, method)
        for value in self.parameters.values():
            value.requires_grad_(True)
        groups = parameter_groups(self.parameters, recipe)
        self.optimizer = torch.optim.AdamW(groups, lr=recipe.learning_rate)
        count = CANDIDATES.get(encoder.points, encoder.points * 6 // 5)
        self.candidates = _farthest(train, encoder, min(count, train.points.shape[1]), device)
        self.labels = torch.from_numpy(train.labels).to(device)

    def to_the_end(self, test: ObjectSet | None, every: int, progress: bool) -> Outcome:
        from tqdm import tqdm

        self._resume()
        last = self.recipe.epochs + 1  # as the published loops, at the rate of the end
        started = time.monotonic() - self.seconds
        with tqdm(total=last, initial=self.epoch, disable=not progress, unit="epoch") as bar:
            while self.epoch < last:
                loss = self._train_epoch()
                self.epoch += 1
                if test is not None and (self.epoch % every == 0 or self.epoch == last):
                    logits = classify_objects(self.encoder, test, device=self.device)
                    score = Score.of(logits.argmax(1), test.labels, len(test.classes))
                    self.tested.append([self.epoch, score.accuracy])
                self.seconds = time.monotonic() - started
                self._save()
                shown = f", test {self.tested[-1][1]:.3f}" if self.tested else ""
                bar.set_postfix_str(f"loss {loss:.3f}{shown}")
                bar.update()
        self.encoder.eval().requires_grad_(False)
        best = max(self.tested, key=lambda entry: entry[1], default=[None, None])
        final = self.tested[-1][1] if self.tested else None
        return Outcome(self.epoch, self.seconds, final, best[1], best[0])

    def _train_epoch(self) -> float:
        recipe, total = self.recipe, len(self.labels)
        for group in self.optimizer.param_groups:
            group["lr"] = recipe.rate(self.epoch, group["highest"])
        generator = torch.Generator().manual_seed(1_000_003 * self.seed + self.epoch)
        order = torch.randperm(total, generator=generator).to(self.device)
        size = min(recipe.batch_size, total)
        losses = []
        self.encoder.train()
        depth = stochastic_depth(residual_branches(self.encoder), recipe.drop_path, generator)
        cuda = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(cuda), depth:  # dropout draws from the process's own generator
            torch.manual_seed(1_000_003 * self.seed + self.epoch)
            for rows in order[: total // size * size].split(size):
                losses.append(self._train_step(rows, generator))
        return float(torch.stack(losses).mean())

    def _train_step(self, rows: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        recipe = self.recipe
        points = self.candidates[rows]
        drawn = torch.randperm(points.shape[1], generator=generator)[: self.encoder.points]
        points = points[:, drawn.to(self.device)]
        points = CHANGES[recipe.change](points, generator)
        logits = self.encoder.classify(as_taken(points, self.encoder))
        loss = smoothed_cross_entropy(logits, self.labels[rows], recipe.smoothing)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.parameters.values(), recipe.clip)
        if not torch.isfinite(norm):
            raise ValueError(
                f"epoch {self.epoch}: the gradient's norm is {float(norm)}, wanted a finite"
                f" number; lower the learning rate (now {recipe.learning_rate:.2g})"
            )
        self.optimizer.step()
        return loss.detach()

    def _identity(self) -> dict[str, Any]:
        """What must not change between the parts of a run."""
        shapes = {name: list(value.shape) for name, value in self.parameters.items()}
        return {
            "recipe": asdict(self.recipe),
            "objects": f"{len(self.train)} of {self.train.name}",
            "seed": self.seed,
            "parameters": shapes,
        }

    def _save(self) -> None:
        if self.path is None:
            return
        content = {"run": self._identity(), "epoch": self.epoch, "seconds": self.seconds}
        content |= {"tested": self.tested, "optimizer": self.optimizer.state_dict()}
        save_training(self.path, content | {"weights": self.encoder.state_dict()})

    def _resume(self) -> None:
        if self.path is None or not self.path.is_file():
            return
        state = load_training(self.path, self._identity())
        self.encoder.load_state_dict(state["weights"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch, self.seconds = state["epoch"], state["seconds"]
        self.tested = state["tested"]


def _farthest(
    objects: ObjectSet, encoder: ObjectEncoder, count: int, device: torch.device | str
) -> torch.Tensor:
    """(S, C, 3) the points of each object from which training draws."""
    count = max(count, encoder.points)
    parts = torch.from_numpy(objects.points).split(256)
    return torch.cat([draw(part.to(device), encoder.form, count) for part in parts])

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The training loop: AdamW, one cycle, and a stop at any moment that changes nothing.

Every random choice of a step follows from the seed and the number of the step alone, so a run
that was killed and resumed gives the weights of one that was not, bit for bit (on a CPU).
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from concerto_ros.labels.confusion import Confusion
from concerto_ros.learning.training.distributed import (
    own_share,
    rank,
    sum_over_processes,
    world_size,
)
from concerto_ros.learning.training.losses import segmentation_loss
from concerto_ros.learning.training.optimizers import build_optimizers, require_muon, whole_state
from concerto_ros.learning.training.run_state import load_training, save_training
from concerto_ros.learning.training.schedule import Schedule

log = logging.getLogger(__name__)

#: The state of a run is written at least this often.
SAVE_SECONDS = 60.0

#: From items of the data set (and a generator, where training may change them) to what the model
#: takes: anything with ``labels`` (V,) and ``to(device)``.
Collate = Callable[[Sequence[Any], np.random.Generator | None], Any]


@dataclass(frozen=True)
class TrainingResult:
    """How a run went.

    ``steps`` done, ``seconds`` of all its parts together, ``best_step`` and ``best_miou`` of the
    validation whose weights the model now has (None without one), ``stopped``: why it ended.
    """

    steps: int
    seconds: float
    best_step: int | None
    best_miou: float | None
    stopped: str


class Trainer:
    """Trains the parameters of ``model`` that require gradients; see :meth:`run`."""

    def __init__(
        self,
        model: nn.Module,
        data: Sequence[Any],
        collate: Collate,
        *,
        num_classes: int,
        steps: int,
        batch_size: int = 2,
        accumulate: int = 1,
        finish: Collate | None = None,
        finish_from: float = 0.6,
        schedule: Schedule | None = None,
        slow: Callable[[str], float] | None = None,
        orthogonal: Callable[[str, nn.Parameter], bool] | None = None,
        class_weights: torch.Tensor | None = None,
        lovasz: float = 1.0,
        validation: Sequence[Any] = (),
        validate_every: int = 0,
        patience: int = 0,
        folder: Path | None = None,
        checkpoint_every: int = 200,
        minutes: float | None = None,
        seed: int = 0,
        about: Mapping[str, Any] | None = None,
        device: torch.device | str = "cpu",
        progress: bool = True,
    ):
        """Set up a run of ``steps`` steps of ``accumulate`` batches of ``batch_size`` items.

        finish: takes the place of ``collate`` once the share ``finish_from`` of the run is done.
        slow: factor of the learning rate by parameter name, 1 where None. orthogonal: by name and
        value, the parameters that take steps of Muon instead of AdamW's. class_weights (K,) and
        lovasz: of :func:`~concerto_ros.learning.training.losses.segmentation_loss`. validation:
        items labelled every ``validate_every`` steps; the weights with the best mIoU are kept, and
        after ``patience`` validations without a better one (0: never) the run ends. folder: where
        ``training.pt`` is written every ``checkpoint_every`` steps and every minute or so, and
        read when there is one; TensorBoard's files go there too. minutes: the run ends, its
        learning rate with it, when this time is over (then the result depends on the machine's
        speed). seed: of the order of the items, of what ``collate`` does to them, and of dropout.
        about: what else must be equal for a run to go on, by name.
        """
        if not len(data):
            raise ValueError("the data set is empty, expected at least one scan")
        for name, value in (
            ("steps", steps),
            ("batch_size", batch_size),
            ("accumulate", accumulate),
            ("checkpoint_every", checkpoint_every),
        ):
            if value < 1:
                raise ValueError(f"{name} is {value}, expected at least 1")
        if minutes is not None and not minutes > 0:
            raise ValueError(f"minutes is {minutes}, expected more than 0")
        self.model = model.to(device)
        self.data, self.collate = data, collate
        self.finish, self.finish_from = finish or collate, finish_from
        self.num_classes = num_classes
        self.steps, self.batch_size, self.accumulate = steps, batch_size, accumulate
        self.schedule = schedule or Schedule()
        self.class_weights = None if class_weights is None else class_weights.to(device)
        self.lovasz = lovasz
        self.validation, self.validate_every = validation, validate_every
        self.patience = patience
        self.folder = None if folder is None else Path(folder)
        self.checkpoint_every = checkpoint_every
        self.minutes, self.seed = minutes, seed
        self.about = dict(about or {})
        self.device = torch.device(device)
        self.progress = progress
        self.step = 0
        self.seconds = 0.0
        self._started, self._save_at = time.monotonic(), math.inf
        self.best: dict[str, Any] | None = None
        self.since_best = 0
        named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
        if not named:
            raise ValueError("no parameter of the model requires gradients: nothing to train")
        self.parameters = dict(named)
        if orthogonal is not None:
            require_muon()
        self._choices = slow, orthogonal
        self.optimizers: list[torch.optim.Optimizer] = []
        self._gradients: torch.Tensor | None = None

    def run(self) -> TrainingResult:
        """Train to the end, from the checkpoint of the folder where there is one."""
        from tqdm import tqdm

        if not self.optimizers:  # in the process that steps: they hold views of the weights
            self.optimizers = build_optimizers(self.parameters, self.schedule, *self._choices)
            self._gradients = self._one_vector() if world_size() > 1 else None
        self._resume()
        board = self._board()
        self._started = time.monotonic() - self.seconds
        self._save_at = time.monotonic() + SAVE_SECONDS
        was_training = self.model.training
        with tqdm(
            total=self.steps,
            initial=self.step,
            disable=not self.progress or rank() > 0,
            unit="step",
        ) as bar:
            while not (stopped := self._why_stop()):
                loss, norm, rate, save_now = self._train_step()
                self.step += 1
                bar.update()
                due = self.step % 10 == 0 or self.step == self.steps
                if due:
                    bar.set_postfix_str(self._summary(loss))
                if board and due:
                    for name, value in (
                        ("train/loss", loss),
                        ("train/gradient_norm", norm),
                        ("train/learning_rate", rate),
                    ):
                        board.add_scalar(name, float(value), self.step)
                if self._validation_due():
                    score = self.validate()
                    self._keep_if_best(score.mean_iou)
                    if board:
                        board.add_scalar("validation/mIoU", score.mean_iou, self.step)
                        board.add_scalar("validation/allAcc", score.all_accuracy, self.step)
                    bar.set_postfix_str(self._summary(loss))
                if self.step % self.checkpoint_every == 0 or save_now:
                    begun = time.monotonic()
                    self.save()
                    # Minutes of work at stake at most, and a fiftieth of the time for writing.
                    took = time.monotonic() - begun
                    self._save_at = begun + max(SAVE_SECONDS, 50 * took)
        self.seconds = time.monotonic() - self._started
        self.save()
        if board:
            board.close()
        best = self.best or {"step": None, "miou": None}
        if self.best:
            self._set_weights(self.best["weights"])
        self.model.train(was_training)
        return TrainingResult(self.step, self.seconds, best["step"], best["miou"], stopped)

    @torch.no_grad()
    def validate(self) -> Confusion:
        """Label the voxels of every item of ``validation`` by itself."""
        was_training = self.model.training
        self.model.eval()
        score = Confusion(self.num_classes)
        for place in own_share(len(self.validation)):
            batch = self.collate([self.validation[place]], None).to(self.device)
            score.add(self.model(batch).argmax(1).cpu().numpy(), batch.labels.cpu().numpy())
        sum_over_processes(torch.from_numpy(score.matrix))
        self.model.train(was_training)
        return score

    def export_state(self, path: Path, outcome: TrainingResult) -> None:
        """Write what another process needs to have trained this model itself."""
        save_training(path, {"weights": self._weights(), "outcome": vars(outcome)})

    def import_state(self, path: Path) -> TrainingResult:
        """Take over what :meth:`export_state` wrote."""
        state = load_training(path, {})
        self._set_weights(state["weights"])
        return TrainingResult(**state["outcome"])

    def save(self) -> None:
        """Write everything that :meth:`run` needs to go on; nothing without a folder."""
        if self.folder is None:
            return
        optimizers = [whole_state(optimizer) for optimizer in self.optimizers]
        if rank():
            return
        save_training(
            self.folder / "training.pt",
            {
                "run": self._identity(),
                "step": self.step,
                "seconds": self.seconds,
                "weights": self._weights(),
                "optimizers": optimizers,
                "best": self.best,
                "since_best": self.since_best,
            },
        )

    def _train_step(self) -> tuple[torch.Tensor, torch.Tensor, float, bool]:
        if self._gradients is None:
            self.model.zero_grad(set_to_none=True)
        else:
            self._gradients.zero_()
        self.model.train()
        total = torch.zeros((), device=self.device)
        for part in own_share(self.accumulate):
            total += self._learn_from(self.step * self.accumulate + part)
        total, save_now = self._agree(total)
        norm = torch.nn.utils.clip_grad_norm_(self.parameters.values(), self.schedule.clip)
        rate = self.schedule.rate(self._progress())
        if not torch.isfinite(norm) or not torch.isfinite(total):
            raise ValueError(
                f"step {self.step}: the loss is {float(total)} and the gradient's norm "
                f"{float(norm)}, expected finite numbers; lower the learning rate "
                f"(now {rate:.2g}) or look for broken values in the scans"
            )
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * group["factor"]
            optimizer.step()
        return total, norm, rate, save_now

    def _learn_from(self, ordinal: int) -> torch.Tensor:
        """Add the gradients of one batch to the parameters; its share of the step's loss."""
        generator = np.random.default_rng((self.seed, 1, ordinal))
        collate = self.collate if self._progress() < self.finish_from else self.finish
        batch = collate(self._items(ordinal), generator).to(self.device)
        cuda = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(cuda):  # dropout draws from the process's own generator
            torch.manual_seed(int(generator.integers(2**63)))
            logits = self.model(batch)
            loss = segmentation_loss(
                logits, batch.labels, class_weights=self.class_weights, lovasz=self.lovasz
            )
            loss = loss / self.accumulate
            loss.backward()
        return loss.detach()

    def _agree(self, total: torch.Tensor) -> tuple[torch.Tensor, bool]:
        """Add up gradients and loss over the processes; the loss, and whether to save.

        The first process's clock counts: all of them must stop, and save, at the same step.
        """
        now = time.monotonic()
        self.seconds, save_now = now - self._started, now > self._save_at
        if self._gradients is None:
            return total, save_now
        clock = [0.0, 0.0] if rank() else [self.seconds, float(save_now)]
        numbers = torch.tensor([total, *clock], dtype=torch.float64)
        sum_over_processes(self._gradients, numbers)
        total, seconds, save_now = numbers
        self.seconds = float(seconds)
        return total, bool(save_now)

    def _one_vector(self) -> torch.Tensor:
        """Memory of all gradients, which are views of it from now on, laid out as the weights."""
        sizes = [parameter.numel() for parameter in self.parameters.values()]
        vector = torch.zeros(sum(sizes))
        parts = vector.split(sizes)
        for parameter, part in zip(self.parameters.values(), parts, strict=True):
            parameter.grad = part.as_strided(
                parameter.shape, parameter.stride(), part.storage_offset()
            )
        return vector

    def _items(self, ordinal: int) -> list[Any]:
        """The items of a batch: every item once, in an order of the epoch's own, then again."""
        items, orders = [], {}
        for place in range(ordinal * self.batch_size, (ordinal + 1) * self.batch_size):
            epoch, index = divmod(place, len(self.data))
            if epoch not in orders:
                shuffler = np.random.default_rng((self.seed, 0, epoch))
                orders[epoch] = shuffler.permutation(len(self.data))
            items.append(self.data[int(orders[epoch][index])])
        return items

    def _progress(self) -> float:
        """0 at the beginning, 1 at the end; a step may outlast the time that is left."""
        done = self.step / self.steps
        if self.minutes is not None:
            done = max(done, self.seconds / 60 / self.minutes)
        return min(done, 1.0)

    def _why_stop(self) -> str:
        if self.step >= self.steps:
            return "all steps done"
        if self._progress() >= 1:
            return f"{self.minutes:g} minutes are over"
        if self.patience and self.since_best >= self.patience:
            return f"no better mIoU in {self.patience} validations"
        return ""

    def _validation_due(self) -> bool:
        every = self.validate_every
        return bool(
            len(self.validation)
            and every
            and (self.step % every == 0 or self.step == self.steps or self._progress() >= 1)
        )

    def _keep_if_best(self, miou: float) -> None:
        self.since_best += 1
        if self.best is None or miou > self.best["miou"]:
            self.best = {"step": self.step, "miou": miou, "weights": self._weights()}
            self.since_best = 0

    def _summary(self, loss: torch.Tensor) -> str:
        best = f", best mIoU {self.best['miou']:.3f}" if self.best else ""
        return f"loss {float(loss):.3f}{best}"

    def _weights(self) -> dict[str, torch.Tensor]:
        return {name: p.detach().cpu().clone() for name, p in self.parameters.items()}

    @torch.no_grad()
    def _set_weights(self, weights: dict[str, torch.Tensor]) -> None:
        for name, parameter in self.parameters.items():
            parameter.copy_(weights[name])

    def _identity(self) -> dict[str, Any]:
        """What must not change between the parts of a run."""
        return self.about | {
            "steps": self.steps,
            "batch_size": self.batch_size,
            "accumulate": self.accumulate,
            "scans": len(self.data),
            "seed": self.seed,
            "schedule": vars(self.schedule),
            "parameters": {name: list(p.shape) for name, p in self.parameters.items()},
        }

    def _resume(self) -> None:
        path = None if self.folder is None else self.folder / "training.pt"
        if path is None or not path.is_file() or self.step:
            return
        state = load_training(path, self._identity())
        self._set_weights(state["weights"])
        for optimizer, kept in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(kept)
        self.step, self.seconds = state["step"], state["seconds"]
        self.best, self.since_best = state["best"], state["since_best"]
        log.info("going on from step %d of %s", self.step, path)

    def _board(self):
        if self.folder is None or rank():
            return None
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            log.info("no TensorBoard scalars: pip install 'concerto_ros[train]' for them")
            return None
        return SummaryWriter(str(self.folder), purge_step=self.step or None)

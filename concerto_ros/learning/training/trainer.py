# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The training loop: AdamW and Muon, one-cycle learning rate, exact resuming after a kill.

Every random choice of a step depends only on the seed and the number of the step, so a run that
was killed and resumed gives the same weights as one that was not, bit for bit (on a CPU).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from concerto_ros.labels.confusion import Confusion
from concerto_ros.learning.training.companion import Companion
from concerto_ros.learning.training.distributed import (
    SharedGradients,
    own_share,
    rank,
    sum_over_processes,
    world_size,
)
from concerto_ros.learning.training.item_order import ShuffledItems
from concerto_ros.learning.training.losses import segmentation_loss
from concerto_ros.learning.training.optimizers import build_optimizers, require_muon, whole_state
from concerto_ros.learning.training.prefetch import Prefetched, worth_making_ahead
from concerto_ros.learning.training.progress import Progress
from concerto_ros.learning.training.run_state import StateFile
from concerto_ros.learning.training.scalars import Scalars
from concerto_ros.learning.training.schedule import Schedule
from concerto_ros.learning.training.trained_weights import TrainedWeights
from concerto_ros.ptv3.precision import training_precision

log = logging.getLogger(__name__)

#: From items of the data set (and a generator, if they are to be augmented) to the input of the
#: model: any object with ``labels`` (V,) and ``to(device)``.
Collate = Callable[[Sequence[Any], np.random.Generator | None], Any]


def _segmentation_loss(logits: torch.Tensor, batch: Any, **options: Any) -> torch.Tensor:
    return segmentation_loss(logits, batch.labels, **options)


@dataclass(frozen=True)
class TrainingResult:
    """Result of a training run.

    Attributes:
        steps: Number of steps done.
        seconds: Duration, including that of the run before it was resumed.
        best_step: Step whose weights the model now has, by validation; None without validation.
        best_miou: mIoU of the validation at that step; None without validation.
        stopped: Why the run ended.
    """

    steps: int
    seconds: float
    best_step: int | None
    best_miou: float | None
    stopped: str


class Trainer:
    """Trains the parameters of a model that require gradients; see :meth:`run`.

    Args:
        model: Takes what ``collate`` returns; returns (V, num_classes) logits.
        data: Items to train on.
        collate: Makes a batch of items.
        num_classes: Number of classes.
        steps: Number of optimizer steps.
        batch_size: Items in a batch.
        accumulate: Batches whose gradients are accumulated for a step.
        final_collate: Replaces ``collate`` after the share ``final_from`` of the run; None: never.
        final_from: Share of the run, 0 to 1.
        schedule: Learning rate, weight decay and gradient clipping.
        rate_factor: Factor of the learning rate by parameter name; None: 1.
        use_muon: By name and value, whether a parameter is trained by Muon instead of AdamW.
        class_weights: (K,), see
            :func:`~concerto_ros.learning.training.losses.segmentation_loss`.
        lovasz: Weight of the Lovász-softmax loss.
        loss: The loss of what the model returns in training and its batch, a scalar; None: the
            segmentation loss of the logits.
        average: Decay of the moving average of the weights that is validated and kept, e.g. 0.999;
            None: the weights themselves are.
        validation: Items to validate on; the weights with the best mIoU are kept.
        validate_every: Steps between validations; 0: no validation.
        patience: Validations without a better mIoU after which the run ends; 0: never.
        folder: Where the state ``training.pt`` is written, and read if it exists; TensorBoard's
            files are written there too. None: nothing is written.
        checkpoint_every: Steps between writings of the state, besides one about every minute.
        minutes: Time limit, with which the learning rate falls as well; the result then depends
            on the machine's speed. None: no limit.
        seed: Random seed of the order of items, of augmentation and of dropout.
        identity: What else has to be equal for a run to resume, by name.
        companion: Changes with the steps beside the weights; None: nothing does.
        device: Where to train.
        precision: Of matrix products, see
            :func:`~concerto_ros.ptv3.precision.training_precision`.
        progress: Whether to show a progress bar.

    Raises:
        ValueError: An argument is out of range, or no parameter requires gradients.
        ImportError: ``use_muon`` is given and this PyTorch has no Muon.
    """

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
        final_collate: Collate | None = None,
        final_from: float = 0.6,
        schedule: Schedule | None = None,
        rate_factor: Callable[[str], float] | None = None,
        use_muon: Callable[[str, nn.Parameter], bool] | None = None,
        class_weights: torch.Tensor | None = None,
        lovasz: float = 1.0,
        loss: Callable[[Any, Any], torch.Tensor] | None = None,
        average: float | None = None,
        validation: Sequence[Any] = (),
        validate_every: int = 0,
        patience: int = 0,
        folder: Path | None = None,
        checkpoint_every: int = 200,
        minutes: float | None = None,
        seed: int = 0,
        identity: Mapping[str, Any] | None = None,
        companion: Companion | None = None,
        device: torch.device | str = "cpu",
        precision: str = "auto",
        progress: bool = True,
    ):
        if not len(data):
            raise ValueError("data is empty, expected at least one scan to train on")
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
        self.collate = collate
        self.final_collate, self.final_from = final_collate or collate, final_from
        self.num_classes = num_classes
        self.items, self.accumulate = ShuffledItems(data, batch_size, seed), accumulate
        self.schedule = schedule or Schedule()
        self.loss = loss or partial(
            _segmentation_loss,
            class_weights=None if class_weights is None else class_weights.to(device),
            lovasz=lovasz,
        )
        self.validation, self.validate_every = validation, validate_every
        self.patience = patience
        self.folder = None if folder is None else Path(folder)
        self.state_file, self.checkpoint_every = StateFile(folder), checkpoint_every
        self.seed = seed
        self.identity = dict(identity or {})
        self.companion = companion
        self.device, self.precision = torch.device(device), precision
        training_precision(self.device, precision)  # a wrong name is said at once
        self.progress = progress
        self.at = Progress(steps, minutes)
        named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
        if not named:
            raise ValueError(
                "no parameter of the model requires gradients, expected at least one: "
                "nothing to train"
            )
        self.weights = TrainedWeights(dict(named), average)
        if use_muon is not None:
            require_muon()
        self._batches = Prefetched(self._batch, ahead=worth_making_ahead(self.device))
        self._rate_factor, self._use_muon = rate_factor, use_muon
        self.optimizers: list[torch.optim.Optimizer] = []
        self._gradients: SharedGradients | None = None

    @property
    def step(self) -> int:
        """Number of steps done."""
        return self.at.step

    def run(self) -> TrainingResult:
        """Train to the end, from the state in the folder if there is one.

        Returns:
            The result; the model has the best weights by validation, else the last ones, or their
                average.

        Raises:
            ValueError: The state belongs to another run, or the loss or the weights are no longer
                finite.
        """
        from tqdm import tqdm

        if not self.optimizers:
            self._build()
        self._resume()
        board = Scalars(self.folder, self.step)
        self.at.start()
        self.state_file.wait()
        was_training = self.model.training
        with tqdm(
            total=self.at.steps,
            initial=self.step,
            disable=not self.progress or rank() > 0,
            unit="step",
        ) as bar:
            while not (stopped := self._stop_reason()):
                loss, norm, rate, save_now = self._train_step()
                self.at.step += 1
                self.weights.stepped(self.step)
                if self.companion is not None:
                    self.companion.stepped()
                bar.update()
                if self.step % 10 == 0 or self.step == self.at.steps:
                    bar.set_postfix_str(self._summary(loss))
                    values = {"loss": float(loss), "gradient_norm": float(norm)}
                    board.add("train", self.step, values | {"learning_rate": rate})
                if self._validation_due():
                    with self.weights.in_use():
                        score = self.validate()
                    self.weights.keep_if_best(self.step, score.mean_iou)
                    values = {"mIoU": score.mean_iou, "allAcc": score.all_accuracy}
                    board.add("validation", self.step, values)
                    bar.set_postfix_str(self._summary(loss))
                if self.step % self.checkpoint_every == 0 or save_now:
                    self.save()
        self._batches.close()
        self.at.seconds = self.at.clock()
        self.weights.check(self.step)
        self.save()
        board.close()
        best = self.weights.take_best(self.step)
        self.model.train(was_training)
        return TrainingResult(self.step, self.at.seconds, best["step"], best["miou"], stopped)

    @torch.no_grad()
    def validate(self) -> Confusion:
        """Evaluate the model on the voxels of all ``validation`` items, one at a time."""
        was_training = self.model.training
        self.model.eval()
        self._batches.settle()  # scans may share an open file
        score = Confusion(self.num_classes)
        for index in own_share(len(self.validation)):
            batch = self.collate([self.validation[index]], None).to(self.device)
            score.add_scores(self.model(batch).cpu().numpy(), batch.labels.cpu().numpy())
        sum_over_processes(torch.from_numpy(score.matrix))
        self.model.train(was_training)
        return score

    def saved_state(self) -> dict[str, Any] | None:
        """Read the state that :meth:`run` resumes from; None where there is none.

        Raises:
            ValueError: It belongs to another run, or to a version with another optimizer.
        """
        return self.state_file.read(self._identity())

    def save(self) -> None:
        """Write the state from which :meth:`run` resumes; does nothing without a folder."""
        if not self.state_file:
            return
        optimizers = [whole_state(optimizer) for optimizer in self.optimizers]
        if rank():
            return
        self.state_file.write(
            {
                "run": self._identity(),
                "step": self.step,
                "seconds": self.at.seconds,
                "optimizers": optimizers,
                "companion": None if self.companion is None else self.companion.state(),
            }
            | self.weights.state(self.step)
        )

    def _build(self) -> None:
        """Build what holds views of the weights: in the training process."""
        self.optimizers = build_optimizers(
            self.weights.parameters, self.schedule, self._rate_factor, self._use_muon
        )
        if world_size() > 1:
            self._gradients = SharedGradients(self.weights.parameters.values())

    def _train_step(self) -> tuple[torch.Tensor, torch.Tensor, float, bool]:
        """Take one step; its loss, gradient norm and learning rate, and whether to save now."""
        if self._gradients is None:
            self.model.zero_grad(set_to_none=True)
        else:
            self._gradients.zero()
        self.model.train()
        if self.companion is not None:
            self.companion.begin(self.at.share, self.optimizers)
        total = torch.zeros((), device=self.device)
        numbers = [self.step * self.accumulate + index for index in own_share(self.accumulate)]
        following = [*numbers[1:], *(number + self.accumulate for number in numbers[:1])]
        for number, after in zip(numbers, following, strict=True):
            total += self._accumulate(number, after)
        total, save_now = self._sum_over_processes(total)
        norm = torch.nn.utils.clip_grad_norm_(self.weights.parameters.values(), self.schedule.clip)
        rate = self.schedule.rate(self.at.share)
        if not torch.isfinite(norm) or not torch.isfinite(total):
            raise ValueError(
                f"step {self.step}: the loss is {float(total)} and the gradient's norm "
                f"{float(norm)}, expected finite numbers; lower the learning rate "
                f"(now {rate:.2g}) or check the scans for invalid values"
            )
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * group["factor"]
            optimizer.step()
        return total, norm, rate, save_now

    def _batch(self, key: tuple[int, bool]) -> tuple[Any, np.random.Generator]:
        """Batch of this number, by the final collate or not, and the generator it was drawn by."""
        number, final = key
        generator = np.random.default_rng((self.seed, 1, number))
        collate = self.final_collate if final else self.collate
        return collate(self.items.batch(number), generator).to(self.device), generator

    def _accumulate(self, number: int, following: int) -> torch.Tensor:
        """Add the gradients of batch ``number``; returns its share of the step's loss."""
        final = self.at.share >= self.final_from
        after = (following, final) if following < self.at.steps * self.accumulate else None
        batch, generator = self._batches.take((number, final), after)
        cuda = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(cuda):  # dropout uses the global generator
            torch.manual_seed(int(generator.integers(2**63)))
            with training_precision(self.device, self.precision):
                loss = self.loss(self.model(batch), batch) / self.accumulate
            loss.backward()
        return loss.detach()

    def _sum_over_processes(self, total: torch.Tensor) -> tuple[torch.Tensor, bool]:
        """Sum gradients and loss over the processes; the loss, and whether to save now.

        The clock of rank 0 decides for all, as they have to stop and save at the same step.
        """
        self.at.seconds, save_now = self.at.clock(), self.state_file.due
        if self._gradients is None:
            return total, save_now
        clock = [0.0, 0.0] if rank() else [self.at.seconds, float(save_now)]
        numbers = torch.tensor([total, *clock], dtype=torch.float64)
        self._gradients.sum(numbers)
        self.at.seconds = float(numbers[1])
        return numbers[0], bool(numbers[2])

    def _stop_reason(self) -> str:
        """Why the run ends now; empty if it does not."""
        if self.at.end or not self.patience or self.weights.since_best < self.patience:
            return self.at.end
        return f"no better mIoU in {self.patience} validations"

    def _validation_due(self) -> bool:
        every = self.validate_every
        return bool(
            len(self.validation)
            and every
            and (self.step % every == 0 or self.step == self.at.steps or self.at.share >= 1)
        )

    def _summary(self, loss: torch.Tensor) -> str:
        best = self.weights.best
        return f"loss {float(loss):.3f}" + (f", best mIoU {best['miou']:.3f}" if best else "")

    def _identity(self) -> dict[str, Any]:
        """What has to be equal for a run to resume, by name; ``run`` in ``training.pt``."""
        return self.identity | {
            "steps": self.at.steps,
            "batch_size": self.items.batch_size,
            "accumulate": self.accumulate,
            "scans": len(self.items.data),
            "seed": self.seed,
            "schedule": vars(self.schedule),
            "average": self.weights.decay,
            "parameters": {name: list(p.shape) for name, p in self.weights.parameters.items()},
        }

    def _resume(self) -> None:
        state = None if self.step else self.saved_state()
        if state is None:
            return
        self.weights.restore(state)
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        if self.companion is not None:
            self.companion.restore(state["companion"])
        self.at.step, self.at.seconds = state["step"], state["seconds"]
        log.info("resuming from step %d of %s", self.step, self.folder)

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One step of MixCon3D's training: gradients over several batches, AdamW, moving average."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from concerto_ros.learning.objects.mixcon3d.contrast import Contrast, ContrastModel, Triplets
from concerto_ros.objects.encoders.mixcon3d.encoder import MixCon3D
from concerto_ros.ptv3.kernels.host_copies import sent
from concerto_ros.ptv3.precision import training_precision

#: The temperatures that are kept between 1 and this factor; that of pictures and texts is not.
LARGEST_SCALE, BOUNDED = 100.0, ("point_text", "point_image")


@dataclass(frozen=True, eq=False)
class Batch:
    """B shapes.

    Attributes:
        clouds: (B, N, 6) x, y, z of about unit size and colours in 0..1.
        texts: (B, D) vectors of CLIP's text encoder.
        images: (B, V, D) vectors of CLIP's image encoder.
    """

    clouds: torch.Tensor
    texts: torch.Tensor
    images: torch.Tensor

    def to(self, device: torch.device | str) -> Batch:
        """Move the tensors to a device."""
        parts = self.clouds, self.texts, self.images
        return Batch(*(sent(value, device) for value in parts))


@dataclass(frozen=True)
class WarmUpAndCosine:
    """The learning rate by step.

    As published, the rate is set after a step, for the next one: the first step has the peak rate
    although the warm-up follows.

    Attributes:
        learning_rate: Peak.
        end: At the last step.
        warm_up: Steps of linear warm-up.
        steps: All steps.
    """

    learning_rate: float
    end: float
    warm_up: int
    steps: int

    def rate(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        if step == 0:
            return self.learning_rate
        if step <= self.warm_up:
            return self.learning_rate * step / self.warm_up
        phase = (step - 1 - self.warm_up) / (self.steps - self.warm_up)
        high, low = self.learning_rate, self.end
        return low + (high - low) * (1 + math.cos(math.pi * phase)) / 2


class EncoderAverage:
    """Exponential moving average of an encoder with its projections, running statistics included.

    Unlike :class:`~concerto_ros.learning.training.trained_weights.WeightAverage` it has one decay
    from the first step on, and whole numbers, such as counts of batches, are cut off.
    """

    def __init__(self, encoder: MixCon3D, decay: float):
        if not 0 <= decay < 1:
            raise ValueError(f"the decay of the moving average is {decay}, expected 0 to below 1")
        self.encoder = copy.deepcopy(encoder).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, encoder: MixCon3D) -> None:
        """Include the encoder as it is now."""
        live = encoder.state_dict()
        for name, average in self.encoder.state_dict().items():
            average.copy_(self.decay * average + (1 - self.decay) * live[name])


class Optimisation:
    """Steps of the training.

    Attributes:
        model: Is trained.
        average: The moving average of its encoder.
        optimizer: AdamW over all that learns; as published, everything decays, biases,
            normalisations and temperatures too.
        step: Number of steps done.

    Args:
        model: Is trained.
        schedule: The learning rate.
        decay: Of the moving average.
        weight_decay: Of AdamW.
        precision: Of the encoder's matrix products, see
            :func:`~concerto_ros.ptv3.precision.training_precision`.
    """

    def __init__(
        self,
        model: ContrastModel,
        schedule: WarmUpAndCosine,
        *,
        decay: float,
        weight_decay: float = 0.01,
        precision: str = "auto",
    ):
        self.model, self.schedule, self.precision = model, schedule, precision
        # A wrong name is said at once.
        training_precision(model.image_proj.weight.device, precision)
        self.average = EncoderAverage(model.encoder, decay)
        self.optimizer = torch.optim.AdamW(
            model.trained().values(),
            lr=schedule.learning_rate,
            betas=(0.9, 0.999),
            eps=1e-8,
            weight_decay=weight_decay,
        )
        self.step = 0

    @property
    def rate(self) -> float:
        """Learning rate of the next step."""
        return self.schedule.rate(self.step)

    def take_step(self, batches: Sequence[Batch]) -> Contrast:
        """Compute gradients over all batches together and take one step.

        Returns:
            The losses before the step.

        Raises:
            ValueError: If the loss is not finite.
        """
        losses = self.gradients(batches)
        if not torch.isfinite(losses.total):
            raise ValueError(
                f"step {self.step}: the loss is {float(losses.total)}, expected a finite number;"
                f" lower the learning rate (now {self.rate:.2g}) or check the data for invalid"
                " values"
            )
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate
        self.optimizer.step()
        self.average.update(self.model.encoder)
        with torch.no_grad():
            for name in BOUNDED:
                self.model.scales[name].clamp_(0.0, math.log(LARGEST_SCALE))
        self.step += 1
        return losses

    def gradients(self, batches: Sequence[Batch]) -> Contrast:
        """Set the gradients of the loss over all batches together; return the losses.

        With several batches each is embedded twice, first without gradients, so that the loss
        compares all shapes while only one batch's activations are in memory. As published,
        normalisation and its running statistics are those of single batches, updated in both
        passes, and the gradient of a temperature is added once for each batch.
        """
        self.model.train().zero_grad(set_to_none=True)
        vectors: list[Triplets] = []
        if len(batches) > 1:
            with torch.no_grad():
                vectors = [self._embed(batch) for batch in batches]
        for number, batch in enumerate(batches):
            own = self._embed(batch)
            whole = [*vectors[:number], own, *vectors[number + 1 :]]
            losses = self.model.contrast(Triplets.join(whole))
            losses.total.backward()
        return Contrast(
            {name: loss.detach() for name, loss in losses.losses.items()},
            losses.point_text_accuracy,
            losses.point_image_accuracy,
        )

    def state(self) -> dict[str, Any]:
        """Return what :meth:`restore` needs."""
        return {
            "step": self.step,
            "weights": self.model.state_dict(),
            "average": self.average.encoder.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a saved :meth:`state`."""
        self.step = state["step"]
        self.model.load_state_dict(state["weights"])
        self.average.encoder.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])

    def _embed(self, batch: Batch) -> Triplets:
        with training_precision(batch.clouds.device, self.precision):
            return self.model(batch.clouds, batch.texts, batch.images)

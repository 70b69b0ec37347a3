# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pre-training of ReCon: contrast with reconstruct (Qi et al., ICML 2023).

Masked patches are reconstructed, and frozen encoders of pictures and of texts teach the global
tokens by vectors that were computed before.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import nn

from concerto_ros.learning.objects.data.shape_set import ShapeSet
from concerto_ros.learning.objects.demo_encoder.training import SHAPE as DEMO_SHAPE
from concerto_ros.learning.objects.pretraining.masks import check_ratio, draw_mask
from concerto_ros.learning.objects.pretraining.recon_network import (
    ReConPretraining,
    new_pretraining,
)
from concerto_ros.learning.objects.pretraining.run import PretrainingRun, judged_by_loss
from concerto_ros.learning.objects.pretraining.teachers import TeacherVectors
from concerto_ros.learning.objects.training.recipes import ObjectTrainingConfig
from concerto_ros.learning.objects.training.training_run import (
    ObjectTrainingResult,
    RunOptions,
    residual_branches,
)
from concerto_ros.objects.encoders.recon.transformer import ReConShape
from concerto_ros.ptv3.kernels.host_copies import sent


@dataclass(frozen=True)
class ReConPreset:
    """The network and how it is pre-trained.

    Attributes:
        shape: Sizes of the transformer.
        decoder_blocks: Blocks of the decoder.
        points: Points of an object.
        recipe: Optimizer, schedule and augmentation.
        mask: Kind of mask, one of :data:`~concerto_ros.learning.objects.names.MASKS`.
        mask_ratio: Share of the patches that is hidden.
        self_contrast: Whether class tokens are contrasted with each other.
    """

    shape: ReConShape
    decoder_blocks: int
    points: int
    recipe: ObjectTrainingConfig
    mask: str = "random"
    mask_ratio: float = 0.6
    self_contrast: bool = False


#: The published recipe for all sizes, without a limit of the gradient. Its scheduler is stepped
#: after each epoch, so that the first two have the same rate.
RECIPE = ObjectTrainingConfig(5e-4, "turn", batch_size=128, clip=math.inf, drop_path=0.1, lag=1)

#: The published sizes, and a narrow one that a computer without a GPU trains in minutes.
PRESETS = {
    "recon": ReConPreset(ReConShape(384, 12, 6, 64, 32), 4, 1024, RECIPE),
    "recon_small": ReConPreset(ReConShape(256, 12, 4, 64, 32), 4, 1024, RECIPE),
    "recon_tiny": ReConPreset(ReConShape(192, 12, 3, 64, 32), 4, 1024, RECIPE),
    "demo": ReConPreset(
        DEMO_SHAPE,
        1,
        512,
        replace(
            RECIPE.shortened(20),
            learning_rate=1e-3,
            batch_size=64,
            drop_path=0.0,
            lag=0,
            start_rate=2e-4,
        ),
    ),
}


class Teachers:
    """The teachers' vectors for the shapes of a set; either may be absent.

    Args:
        shapes: The shapes.
        image: Vectors of pictures by the names of shapes.
        text: Vectors of texts, by the names of shapes or, if it has none of these, by captions.

    Raises:
        ValueError: If a teacher lacks a shape or a caption.
    """

    def __init__(
        self,
        shapes: ShapeSet,
        image: TeacherVectors | None = None,
        text: TeacherVectors | None = None,
    ):
        self.shapes, self.image, self.text = shapes, image, text
        self._rows: dict[str, torch.Tensor] = {}
        if image is not None:
            self._rows["image"] = image.rows(shapes.ids)
        if text is not None:
            by_shape = shapes.ids[0] in text.names
            self._rows["text"] = text.rows(shapes.ids if by_shape else shapes.captions)

    def draw(
        self, rows: torch.Tensor, generator: torch.Generator, device: torch.device
    ) -> list[torch.Tensor | None]:
        """Draw the vectors (B, D) of pictures and (B, E) of texts of the shapes at ``rows``."""
        return [
            None
            if teacher is None
            else sent(teacher.draw(self._rows[name][rows], generator), device)
            for name, teacher in (("image", self.image), ("text", self.text))
        ]

    def identity(self) -> dict[str, Any]:
        """Tell these teachers from others, for a run that resumes."""
        pairs = {"image": self.image, "text": self.text}
        return {name: teacher and teacher.identity() for name, teacher in pairs.items()}


def new_model(preset: ReConPreset, teachers: Teachers, seed: int = 0) -> ReConPretraining:
    """Build the untrained model of a preset for some teachers.

    Raises:
        ValueError: If the mask hides all patches or none.
    """
    check_ratio(preset.mask_ratio, preset.shape.groups)
    return new_pretraining(
        preset.shape,
        decoder_blocks=preset.decoder_blocks,
        image=None if teachers.image is None else teachers.image.width,
        text=None if teachers.text is None else teachers.text.width,
        self_contrast=preset.self_contrast,
        seed=seed,
    )


def pretrain_recon(
    model: ReConPretraining,
    teachers: Teachers,
    preset: ReConPreset,
    options: RunOptions,
) -> ObjectTrainingResult:
    """Train ``model``, as of :func:`new_model`, in place.

    Args:
        model: The model.
        teachers: The shapes and what is said about them.
        preset: How it is trained.
        options: How the run goes; ``test`` is a function of the model, or None.

    Raises:
        ValueError: If the folder holds the state of another run, or a number is no longer finite.
    """
    about = {
        "teachers": teachers.identity(),
        "mask": [preset.mask, preset.mask_ratio],
        "shape": asdict(preset.shape),
        "points drawn": preset.points,
    }
    options = replace(options, about={**options.about, **about})
    return _ReConRun(model, teachers, preset, options).to_the_end()


def held_out(
    teachers: Teachers, preset: ReConPreset, seed: int = 0
) -> Callable[[nn.Module], float]:
    """Return a function that scores a model by its loss on other shapes, the lower the better.

    Args:
        teachers: The shapes that are not trained on, and what is said about them.
        preset: How the model is trained.
        seed: Of points, masks and prompts, the same each time.
    """

    def losses(
        model: ReConPretraining, rows: torch.Tensor, generator: torch.Generator
    ) -> dict[str, torch.Tensor]:
        drawn = teachers.shapes.draw(rows.tolist(), preset.points, generator)
        points = drawn.to(model.mask_token.device)
        return losses_of(model, teachers, preset, points, rows, generator)

    return judged_by_loss(len(teachers.shapes), preset.recipe.batch_size, seed, losses)


def losses_of(
    model: ReConPretraining,
    teachers: Teachers,
    preset: ReConPreset,
    points: torch.Tensor,
    rows: torch.Tensor,
    generator: torch.Generator,
) -> dict[str, torch.Tensor]:
    """Compute the losses of clouds (B, N, 3) of the shapes at ``rows`` (B,), to be added."""
    patches = model.MAE_encoder.group(points)
    mask = draw_mask(patches.centres, preset.mask, preset.mask_ratio, generator)
    image, text = teachers.draw(rows, generator, points.device)
    same = None
    if preset.self_contrast:
        captions = [teachers.shapes.captions[row] for row in rows.tolist()]
        known = {caption: number for number, caption in enumerate(dict.fromkeys(captions))}
        number = torch.tensor([known[caption] for caption in captions], device=points.device)
        same = number.unsqueeze(0) == number.unsqueeze(1)
    return model.reconstruct(patches, mask).losses(image, text, same)


class _ReConRun(PretrainingRun[ReConPretraining]):
    """One pre-training; see :func:`pretrain_recon`."""

    def __init__(
        self,
        model: ReConPretraining,
        teachers: Teachers,
        preset: ReConPreset,
        options: RunOptions,
    ):
        super().__init__(
            model, teachers.shapes, preset.recipe, preset.points, options, "pretrain recon"
        )
        self.teachers, self.preset = teachers, preset

    def towers(self) -> list[list[list[nn.Module]]]:
        return [
            residual_branches(part) for part in (self.model.MAE_encoder, self.model.MAE_decoder)
        ]

    def batch(
        self, rows: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return rows, self.draw(rows, generator)

    def loss(
        self, batch: tuple[torch.Tensor, torch.Tensor], generator: torch.Generator
    ) -> dict[str, torch.Tensor]:
        rows, points = batch
        return losses_of(self.model, self.teachers, self.preset, points, rows, generator)

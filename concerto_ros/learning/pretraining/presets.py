# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Every number of a pre-training: as published, and for one small machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from concerto_ros.learning.pretraining.schedules import HalfCosine, Warming
from concerto_ros.learning.pretraining.views import ViewSizes

#: Metres; the voxels for which lengths are stated.
VOXEL = 0.02


@dataclass(frozen=True)
class Preset:
    """The numbers of a pre-training; the defaults are those published for Concerto.

    Attributes:
        sizes: Points of views.
        cell: Edge of the cells that masks hide, metres at voxels of :data:`VOXEL`.
        ratio: Share of hidden cells.
        mask_jitter: Noise of hidden points, metres at voxels of :data:`VOXEL`.
        radius: Largest distance of matched rows, metres, before augmentation.
        teacher_temperature: Of the assignments.
        student_temperature: Of the student's logits.
        momentum: Of the teacher.
        fixed_teacher: Whether the teacher's backbone stays as it was at the start.
        stages: Stages of the encoder that are trained, the coarsest ones; None: all, and the stem.
        hidden: Width of the hidden layer of a head.
        width: Width of its vectors.
        prototypes: Their number.
        weights: Of the terms mask, roll, unmask and image.
        blend: How far the result goes from the weights at the start to those at the end, 0 to 1
            (Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022); below 1 with a
            fixed teacher only, which has the weights of the start.
        kept: Weight of distillation where there is any, half of it that of image if there is that
            as well; the other terms share the rest.
        frames_per_scan: Consecutive frames of a bag of clouds in one scene.
        student_frames: Consecutive frames of a scene that the student has, at most, where the
            teacher has all of them; None: it has all as well.
        patches: Patches along each edge of an image.
        learning_rate: At its peak.
        layer_decay: Factor of the rate from a block to the one before it.
        weight_decay: Of AdamW, on all parameters.
        clip: Maximum norm of the gradient.
        drop_path: Rate of stochastic depth in the last block; rows are dropped one by one.
        voxel_means: Whether a voxel is the mean of its points, as in the node, or a random one of
            them, as published.
        shuffled: Whether blocks take the curves of the serialization in a random order, as
            published; not every encoder was trained so.
        elastic: (cell, strength) of each smooth bend of a view, metres.
        drop_colors: Probabilities of dropping all colours, and those of a fifth of the points;
            likewise of normals.
        batch_size: Scenes in a step.
        steps: Steps of the run.
        heads_factor: Learning rate of the heads, times that of the encoder.
        heads_first: Steps at the beginning in which the heads alone are trained; needs another
            rate of the heads.

    Raises:
        ValueError: A number is out of range.
    """

    sizes: ViewSizes = field(default_factory=ViewSizes)
    cell: Warming = Warming(0.1, 0.4)
    ratio: Warming = Warming(0.3, 0.7)
    mask_jitter: float = 0.01
    radius: float = 0.32
    teacher_temperature: Warming = Warming(0.04, 0.07)
    student_temperature: float = 0.1
    momentum: HalfCosine = HalfCosine(0.994, 1.0)
    fixed_teacher: bool = False
    stages: int | None = None
    hidden: int = 4096
    width: int = 256
    prototypes: int = 4096
    weights: Mapping[str, float] = field(
        default_factory=lambda: {"mask": 1 / 8, "roll": 1 / 8, "unmask": 2 / 8, "image": 4 / 8}
    )
    frames_per_scan: int = 1
    student_frames: int | None = None
    blend: float = 1.0
    kept: float = 0.5
    patches: int = 37
    learning_rate: float = 0.004
    layer_decay: float = 0.9
    weight_decay: HalfCosine = HalfCosine(0.04, 0.2)
    clip: float = 3.0
    drop_path: float = 0.3
    voxel_means: bool = False
    shuffled: bool = True
    elastic: tuple[tuple[float, float], ...] = ((0.2, 0.4), (0.8, 1.6))
    drop_colors: tuple[float, float] = (0.2, 0.5)
    batch_size: int = 96
    steps: int = 100_000
    heads_factor: float = 1.0
    heads_first: int = 0

    def __post_init__(self) -> None:
        counts = ("steps", "batch_size", "prototypes", "frames_per_scan", "student_frames")
        for name in counts:
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}, expected 1 or more")
        if not 0 <= self.blend <= 1:
            raise ValueError(f"blend is {self.blend}, expected 0 to 1")

    def at_voxels(self, size: float) -> Preset:
        """The same for other voxels, metres: what is hidden has as many voxels as published."""
        factor = size / VOXEL
        return replace(
            self,
            cell=Warming(self.cell.first * factor, self.cell.last * factor),
            mask_jitter=self.mask_jitter * factor,
            # Rows of the level of matching are four voxels wide; they need a neighbour or two.
            radius=max(self.radius, 8 * size),
        )


#: As published.
CONCERTO = Preset()

#: For one small machine, from a trained encoder: few frames find the features that the encoder has
#: for many. Clusters, whose heads begin at random, made it worse in the time that there is.
ADAPT = Preset(
    sizes=ViewSizes(most=16_000, locals=0),
    momentum=HalfCosine(0.998, 1.0),
    fixed_teacher=True,
    frames_per_scan=16,
    student_frames=3,
    hidden=1024,
    width=128,
    prototypes=512,
    blend=0.6,
    kept=1.0,
    learning_rate=1e-3,
    weight_decay=HalfCosine(0.02, 0.02),
    drop_path=0.0,
    voxel_means=True,
    shuffled=False,
    elastic=(),
    drop_colors=(0.0, 0.0),
    batch_size=1,
    heads_factor=3.0,
    steps=1800,
)

#: For one small machine, from nothing: small views, few prototypes, a teacher that soon follows,
#: as there are two thousand steps, not 100,000. With the published temperatures the targets
#: of so few prototypes became nearly even and taught nothing.
SMALL = Preset(
    sizes=ViewSizes(most=3000, locals=2),
    ratio=Warming(0.3, 0.3),
    teacher_temperature=Warming(0.03, 0.03),
    momentum=HalfCosine(0.99, 1.0),
    hidden=256,
    width=64,
    prototypes=128,
    learning_rate=2e-3,
    layer_decay=1.0,
    drop_path=0.0,
    batch_size=2,
    steps=2200,
)

#: By the name that the commands take.
PRESETS = {"paper": CONCERTO, "adapt": ADAPT, "small": SMALL}

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is trained: the student, its teacher, and the loss of a batch of views."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from concerto_ros.learning.adaptation.batches import ViewBatch
from concerto_ros.learning.pretraining.losses import cosine_loss
from concerto_ros.learning.pretraining.masking import (
    cells_of_points,
    jitter_masked,
    mask_of_points,
)
from concerto_ros.learning.pretraining.matching import view_of_rows
from concerto_ros.learning.pretraining.objective import (
    Clustering,
    ViewFeatures,
    clustering_terms,
    image_term,
    weighted_total,
)
from concerto_ros.learning.pretraining.presets import Preset
from concerto_ros.learning.pretraining.schedules import OneCycle, layer_factor
from concerto_ros.learning.pretraining.student import Learner, PatchProjection, Views
from concerto_ros.learning.pretraining.teacher import teacher_of, update_teacher
from concerto_ros.ptv3.encoder import Encoder

#: The terms whose weight the distillation takes.
CLUSTER_TERMS = ("mask", "roll", "unmask")


class PretrainingModel(nn.Module):
    """Student and teacher; called with a batch of views it gives the loss.

    Random choices are those of PyTorch's global generator.

    Args:
        encoder: Is trained in place.
        preset: All numbers, for the encoder's voxels.
        edge: Of a voxel in the encoder's coordinates.
        scale: Of these coordinates, times metres.
        image_width: Channels of image features; 0: there are no images.
        distilled: Whether the student also has to keep the teacher's features, which needs a
            fixed teacher.

    Attributes:
        losses: Those of the last batch by name, for logs.
    """

    def __init__(
        self,
        encoder: Encoder,
        preset: Preset,
        edge: float,
        scale: float,
        image_width: int = 0,
        distilled: bool = False,
    ):
        super().__init__()
        _train_stages(encoder, preset.stages)
        self.student = Learner(encoder, preset.hidden, preset.width, preset.prototypes)
        self.teacher: Learner = teacher_of(self.student)
        self.projection = PatchProjection(encoder.channels, image_width) if image_width else None
        if not preset.sizes.locals:
            self.student.unmask_head.requires_grad_(False)
        self.preset, self.edge, self.scale = preset, edge, scale
        self.distilled = distilled
        self.step, self.steps = 0, preset.steps
        self.losses: dict[str, float] = {}

    def train(self, mode: bool = True) -> PretrainingModel:
        """As for every module; a teacher that stays as it was also keeps its running means."""
        super().train(mode)
        if self.preset.fixed_teacher:
            self.teacher.eval()
        return self

    @property
    def warming(self) -> bool:
        """Whether only the heads are trained now, where a term of the loss has any."""
        return self.step < self.preset.heads_first and (
            self.projection is not None or self._clusters()
        )

    def weights(self) -> dict[str, float]:
        """The weights of the terms, which sum to one.

        Where there are neither images nor distillation, the other terms count more.
        """
        own = dict(self.preset.weights)
        share = own.pop("image")
        kept = [
            name
            for name, used in (("image", self.projection), ("distilled", self.distilled))
            if used
        ]
        if self.distilled:
            share = self.preset.kept
        rest = (1 - share if kept else 1) / sum(own.values())
        own = {name: rest * weight for name, weight in own.items()}
        return own | dict.fromkeys(kept, share / max(len(kept), 1))

    def _clusters(self) -> bool:
        """Whether the clustering terms have any weight."""
        weights = self.weights()
        return any(weights[name] for name in CLUSTER_TERMS)

    def forward(self, batch: ViewBatch) -> torch.Tensor:
        """Compute the loss of a batch, a scalar."""
        masked, kept = self.masked(batch)
        shuffle = None
        if self.preset.shuffled:
            shuffle = torch.Generator().manual_seed(int(torch.randint(2**62, ())))
        with torch.no_grad():
            teacher = self.teacher(batch.globals, shuffle)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.warming):
            student = self.student(masked, shuffle)
            local = None if batch.locals is None else self.student(batch.locals, shuffle)
        losses: dict[str, torch.Tensor | None] = {}
        if self._clusters():
            losses |= self._clustering(student, local, teacher)
        if self.projection is not None:
            losses["image"] = None
            if batch.images is not None:
                seen = replace(batch.images, patches=batch.images.patches[kept])
                losses["image"] = image_term(student, seen, self.projection)
        if self.distilled:
            losses["distilled"] = distillation(student, teacher, kept)
        self.losses = {
            name: float(loss.detach()) for name, loss in losses.items() if loss is not None
        }
        return weighted_total(losses, self.weights())

    def _clustering(
        self, student: ViewFeatures, local: ViewFeatures | None, teacher: ViewFeatures
    ) -> dict[str, torch.Tensor | None]:
        """The losses of the clustering terms by name; None of one without a match."""
        with torch.no_grad():
            logits = self.teacher.mask_head(teacher.joined)
        heads = {"mask": self.student.mask_head, "unmask": self.student.unmask_head}
        targets = {"mask": logits, "unmask": logits}
        temperature = self.preset.teacher_temperature.at(self.step, self.steps)
        clustering = Clustering(temperature, self.preset.student_temperature, self.preset.radius)
        terms = clustering_terms(student, local, teacher, heads, targets, clustering)
        return {name: term.loss if len(term.pairs) else None for name, term in terms.items()}

    def masked(self, batch: ViewBatch) -> tuple[Views, torch.Tensor]:
        """The student's global views, and (V,) int64 the rows of the whole views that remain.

        The student has the points of its frames. Where it has all that are known of a scene, some
        are hidden; hidden points move, and of points that then share a voxel the first remains.
        """
        views = batch.few.of(batch.globals)
        cell = self.preset.cell.at(self.step, self.steps) * self.scale
        cells = cells_of_points(views.coord, views.offset, cell)
        permutation = torch.randperm(int(cells.max()) + 1).to(cells.device)
        mask = mask_of_points(cells, permutation, self.preset.ratio.at(self.step, self.steps))
        mask &= batch.hides[view_of_rows(views.offset)]
        noise = torch.randn(int(mask.sum()), 3).to(views.coord)
        moved = jitter_masked(views.coord, mask, noise, self.preset.mask_jitter * self.scale)
        # The lattice of the whole views, so that points that stay also stay alone in their voxel.
        grid = torch.floor((moved - batch.low) / self.edge).long()
        grid = torch.where(mask[:, None], grid, views.grid)
        grid = grid - grid.amin(dim=0)
        view = view_of_rows(views.offset)
        kept = _first_rows(torch.cat([view[:, None], grid], dim=1))
        ends = torch.bincount(view[kept], minlength=len(views.offset)).cumsum(0)
        feat, origin = views.feat[kept], views.origin[kept]
        student = Views(feat, grid[kept], moved[kept], origin, ends, mask[kept])
        return student, batch.few.rows[kept]

    def rate_factor(self, name: str) -> float:
        """Factor of the learning rate of a parameter, by its name."""
        if not name.startswith("student.backbone."):
            return self.preset.heads_factor
        depths = self.student.backbone.config.enc_depths
        return layer_factor(name, depths, self.preset.layer_decay)


def _train_stages(encoder: Encoder, last: int | None) -> None:
    """Let the last stages of an encoder be trained; None: all of it."""
    stages = len(encoder.config.enc_depths)
    if last is not None and not 1 <= last <= stages:
        raise ValueError(f"stages is {last}, expected 1 to {stages}, those of {encoder.name}")
    first = 0 if last is None else stages - last
    trained = tuple(f"enc.enc{stage}." for stage in range(first, stages))
    for name, parameter in encoder.named_parameters():
        parameter.requires_grad_(last is None or name.startswith(trained))


def _first_rows(keys: torch.Tensor) -> torch.Tensor:
    """The first row of each distinct row of keys, ascending."""
    _, group = torch.unique(keys, dim=0, return_inverse=True)
    order = torch.argsort(group, stable=True)
    grouped = group[order]
    first = torch.ones_like(grouped, dtype=torch.bool)
    first[1:] = grouped[1:] != grouped[:-1]
    return order[first].sort().values


def distillation(student: ViewFeatures, teacher: ViewFeatures, kept: torch.Tensor) -> torch.Tensor:
    """How far the student's features are from the teacher's of the same points, at all levels.

    Args:
        student: Of the masked global views.
        teacher: Of the whole ones.
        kept: (V,) int64, the teacher's row of each of the student's.

    Returns:
        The mean over the levels of :func:`cosine_loss`.
    """
    own, other = torch.arange(len(kept), device=kept.device), kept
    losses = []
    for level, (mine, given) in enumerate(zip(student.feats, teacher.feats, strict=True)):
        if level:
            # Each pair once: else coarse rows of walls, with many fine ones, outweigh furniture.
            pairs = torch.stack(
                [student.clusters[level - 1][own], teacher.clusters[level - 1][other]]
            )
            own, other = torch.unique(pairs, dim=1)
        losses.append(cosine_loss(mine[own], given[other].detach()))
    return torch.stack(losses).mean()


@dataclass(eq=False)
class TeacherUpdates:
    """Schedules and teacher of a run, for the trainer.

    Attributes:
        model: Student and teacher.
    """

    model: PretrainingModel

    def begin(self, share: float, optimizers: list[torch.optim.Optimizer]) -> None:
        """Set what holds for the step at a share (0..1) of the run."""
        model = self.model
        model.step = round(share * model.steps)
        decay = model.preset.weight_decay.at(model.step, model.steps)
        beta = OneCycle(model.preset.learning_rate, steps=model.steps).beta(model.step)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["weight_decay"] = decay
                if "betas" in group:
                    group["betas"] = (beta, group["betas"][1])

    def stepped(self) -> None:
        """Move the teacher after a step."""
        preset = self.model.preset
        momentum = preset.momentum.at(self.model.step, self.model.steps)
        fixed = "backbone." if preset.fixed_teacher else None
        update_teacher(self.model.teacher, self.model.student, momentum, fixed=fixed)

    def state(self) -> dict[str, Any]:
        """What :meth:`restore` needs: the teacher."""
        return {name: value.cpu() for name, value in self.model.teacher.state_dict().items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved :meth:`state`."""
        self.model.teacher.load_state_dict(dict(state))

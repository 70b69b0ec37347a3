# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The loss of a step, from the features of student and teacher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import nn

from concerto_ros.learning.pretraining.losses import cluster_loss, cosine_loss
from concerto_ros.learning.pretraining.matching import match_views, rows_of_views, view_of_rows
from concerto_ros.learning.pretraining.pooling import pool_means, pool_offset, pool_patches
from concerto_ros.learning.pretraining.sinkhorn import assignments
from concerto_ros.ptv3.encoder import join_levels

#: Levels joined for the clustering terms, and for images.
CLUSTERED, IMAGED = 2, 3


@dataclass(frozen=True, eq=False)
class ViewFeatures:
    """What an encoder makes of a batch of views.

    Attributes:
        feats: Per level (V_l, C_l), finest first.
        clusters: Between each two levels (V_l,) int64, the coarser row of each finer one.
        origin: (V_0, 3) metres, the coordinates before augmentation.
        offset: (B,) cumulative sizes of the views at the finest level.
    """

    feats: Sequence[torch.Tensor]
    clusters: Sequence[torch.Tensor]
    origin: torch.Tensor
    offset: torch.Tensor

    @cached_property
    def joined(self) -> torch.Tensor:
        """(V, C) features of the level of the clustering terms."""
        return join_levels(self.feats, self.clusters, self._joined(CLUSTERED))

    @cached_property
    def places(self) -> torch.Tensor:
        """(V, 3) where the rows of that level were before augmentation."""
        return pool_means(self.origin, self.clusters, self.level(CLUSTERED))

    @cached_property
    def ends(self) -> torch.Tensor:
        """(B,) cumulative sizes of the views at that level."""
        return self.offset_at(self.level(CLUSTERED))

    def offset_at(self, level: int) -> torch.Tensor:
        """(B,) cumulative sizes of the views at a level."""
        return pool_offset(self.offset, view_of_rows(self.offset), self.clusters, level)

    def level(self, joined: int) -> int:
        """The level to which so many finer levels lead from the top; 0 is the finest."""
        return len(self.feats) - 1 - self._joined(joined)

    def _joined(self, joined: int) -> int:
        return min(joined, len(self.feats) - 1)


@dataclass(frozen=True, eq=False)
class Term:
    """One term of the loss.

    Attributes:
        pairs: (P, 2) int64 matched rows: of the student's views, and of the teacher's in the order
            in which the term takes them.
        targets: (P, K), the teacher's assignments.
        loss: A scalar; NaN without a match.
    """

    pairs: torch.Tensor
    targets: torch.Tensor
    loss: torch.Tensor


@dataclass(frozen=True)
class Clustering:
    """Temperatures and distance of the clustering terms.

    Attributes:
        teacher_temperature: Of the assignments.
        student_temperature: Of the student's logits.
        radius: Metres between rows that match, at most.
    """

    teacher_temperature: float
    student_temperature: float = 0.1
    radius: float = 0.32


def clustering_term(
    student: ViewFeatures,
    logits: torch.Tensor,
    teacher: ViewFeatures,
    teacher_logits: torch.Tensor,
    views: Sequence[int],
    clustering: Clustering,
) -> Term:
    """Compare the student's rows with the teacher's assignments of the same places.

    Args:
        student: Of its views.
        logits: (V, K) of its rows at the level of the clustering terms.
        teacher: Of the global views, whole.
        teacher_logits: (W, K) likewise.
        views: Which of the teacher's views belong to the student's, in their order; of fewer each
            belongs to several, see :func:`match_views`.
        clustering: Temperatures and distance.
    """
    rows, ends = rows_of_views(teacher.ends, views)
    pairs = match_views(
        student.places, student.ends, teacher.places[rows], ends, clustering.radius
    )
    own, other = pairs.unbind(1)
    targets = assignments(teacher_logits[rows[other]], clustering.teacher_temperature)
    view = view_of_rows(student.ends)[own]
    loss = cluster_loss(logits[own], targets, view, clustering.student_temperature)
    return Term(pairs, targets, loss)


def clustering_terms(
    student: ViewFeatures,
    local: ViewFeatures | None,
    teacher: ViewFeatures,
    heads: Mapping[str, nn.Module],
    teacher_logits: Mapping[str, torch.Tensor],
    clustering: Clustering,
) -> dict[str, Term]:
    """Compute the terms mask, roll and unmask.

    Args:
        student: Of the masked global views: for each scene the major one, then the second.
        local: Of the local views, as many for each scene; None: there is no term unmask.
        teacher: Of the same global views, whole.
        heads: The student's, ``mask`` and ``unmask``.
        teacher_logits: Of the teacher's rows, for the targets of the heads of these names.
        clustering: Temperatures and distance.

    Returns:
        The terms by name.
    """
    count = len(teacher.ends)
    logits = heads["mask"](student.joined)
    chosen = {
        "mask": (student, logits, "mask", list(range(count))),
        "roll": (student, logits, "mask", [view ^ 1 for view in range(count)]),
    }
    if local is not None:
        majors = list(range(0, count, 2))
        chosen["unmask"] = (local, heads["unmask"](local.joined), "unmask", majors)
    return {
        name: clustering_term(own, values, teacher, teacher_logits[head], views, clustering)
        for name, (own, values, head, views) in chosen.items()
    }


@dataclass(frozen=True, eq=False)
class ImageTargets:
    """Patch features of the images of a batch.

    Attributes:
        vectors: (images, rows * columns, D), the patches of each image row by row.
        grid: Rows and columns of patches.
        counts: Number of images of each scene, in the order of the scenes.
        patches: (V_0, I, 2) fractional row and column at which the rows of the global views are
            seen in the images of their scene, -1 where they are not.
    """

    vectors: torch.Tensor
    grid: tuple[int, int]
    counts: Sequence[int]
    patches: torch.Tensor


def image_term(
    student: ViewFeatures, images: ImageTargets, projection: nn.Module
) -> torch.Tensor | None:
    """Predict the patches of images from the points that they see, in the major views.

    Args:
        student: Of the masked global views.
        images: What to predict.
        projection: From the features of a patch's points to the width of the image model.

    Returns:
        A scalar; None where no image sees a point.
    """
    level = student.level(IMAGED)
    feat = join_levels(student.feats, student.clusters, min(IMAGED, len(student.feats) - 1))
    patches = pool_patches(images.patches, student.clusters, level)
    return patch_loss(feat, student.offset_at(level), patches, images, projection)


def patch_loss(
    feat: torch.Tensor,
    offset: torch.Tensor,
    patches: torch.Tensor,
    images: ImageTargets,
    projection: nn.Module,
) -> torch.Tensor | None:
    """The loss of :func:`image_term` of features at one level.

    Args:
        feat: (V, C) of all global views.
        offset: (B,) their cumulative sizes.
        patches: (V, I, 2) as in :class:`ImageTargets`, at this level.
        images: What to predict; its own ``patches`` are not read.
        projection: As for :func:`image_term`.
    """
    rows, columns = images.grid
    counts = torch.as_tensor(images.counts, device=feat.device)
    first = counts.cumsum(0) - counts
    view = view_of_rows(offset)
    scene = view // 2
    place = patches.trunc().long()
    numbers = torch.arange(patches.shape[1], device=feat.device)
    seen = (patches >= 0).all(dim=2) & (place < place.new_tensor(images.grid)).all(dim=2)
    seen &= (view % 2 == 0)[:, None] & (numbers < counts[scene][:, None])
    row, image = seen.nonzero(as_tuple=True)
    if not len(row):
        return None
    token = (first[scene[row]] + image) * rows * columns
    token = token + place[row, image, 0] * columns + place[row, image, 1]
    occupied, member = torch.unique(token, return_inverse=True)
    # Sums of many rows, in float32 whatever the encoder computes in.
    parts = feat[row].to(torch.promote_types(feat.dtype, torch.float32))
    sums = parts.new_zeros(len(occupied), parts.shape[1]).index_add(0, member, parts)
    means = sums / torch.bincount(member)[:, None]
    return cosine_loss(projection(means), images.vectors.flatten(0, 1)[occupied].detach())


def weighted_total(
    losses: Mapping[str, torch.Tensor | None], weights: Mapping[str, float]
) -> torch.Tensor:
    """The weighted sum of the terms; a missing one counts as the mean of the others.

    Args:
        losses: By name; None: missing.
        weights: By name.
    """
    known = {name: loss for name, loss in losses.items() if loss is not None}
    total = torch.stack([weights[name] * loss for name, loss in known.items()]).sum()
    share = sum(weights[name] for name in known)
    missing = sum(weights[name] for name in losses) - share
    return total * (1 + missing / share)

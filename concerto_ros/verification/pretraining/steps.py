# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Cases of the loss of a whole step over given features of levels."""

from __future__ import annotations

from typing import Any

import torch

from concerto_ros.learning.pretraining.masking import (
    cells_of_points,
    jitter_masked,
    mask_of_points,
)
from concerto_ros.learning.pretraining.matching import view_of_rows
from concerto_ros.learning.pretraining.objective import (
    IMAGED,
    Clustering,
    ImageTargets,
    Term,
    ViewFeatures,
    clustering_terms,
    image_term,
    weighted_total,
)
from concerto_ros.learning.pretraining.pooling import pool_patches
from concerto_ros.verification.cases import Case
from concerto_ros.verification.pretraining.outcome import Outcome, gradients, number
from concerto_ros.verification.pretraining.parts import (
    filled_head,
    filled_projection,
    head_parameters,
    image_targets,
)

#: Arrays that are outputs, besides those of the terms.
OUTPUTS = ("mask", "student_coord", "student_correspondence_1")

TERMS = ("mask", "roll", "unmask")


def step(case: Case) -> Outcome:
    """The loss and its gradients."""
    features = {part: _given(case, part) for part in ("teacher", "student", "local")}
    modules = {f"student_{name}": filled_head(case, f"student_{name}_") for name in HEADS}
    heads = {"mask": modules["student_mask_head"], "unmask": modules["student_unmask_head"]}
    images, projection = None, None
    if "image_tokens" in case.arrays:
        projection = filled_projection(case)
        images = image_targets(case, case.tensor("global_correspondence"))
    terms, losses = losses_of(case, features, heads, _teacher_logits(case, features["teacher"]))
    if images is not None and projection is not None:
        losses["image"] = image_term(features["student"], images, projection)
    weights = weights_of(case)
    if "image" in weights:
        losses.setdefault("image", None)
    total = weighted_total(losses, weights)
    total.backward()
    parameters: dict[str, torch.Tensor] = {}
    for name, module in modules.items():
        parameters |= head_parameters(module, f"{name}_")
    if projection is not None:
        parameters |= {"proj_weight": projection.weight, "proj_bias": projection.bias}
    for part in ("student", "local"):
        for level, feat in enumerate(features[part].feats):
            parameters[f"{part}_feat_{level}"] = feat
    values = {
        **masked(case),
        **values_of(terms, losses, total, case),
        **_geometry(features, case),
        **gradients(parameters),
    }
    if images is not None:
        values["student_correspondence_1"] = _pooled(features["student"], images)
    return Outcome(values, lambda name: not _is_output(name))


HEADS = ("mask_head", "unmask_head")


def weights_of(case: Case) -> dict[str, float]:
    """The weights of the terms, by name."""
    given = case.arrays.get("weights", case.meta.get("settings", {}).get("weights"))
    return dict(zip((*TERMS, "image"), (float(weight) for weight in given), strict=False))


def losses_of(
    case: Case,
    features: dict[str, ViewFeatures],
    heads: dict[str, Any],
    teacher_logits: dict[str, torch.Tensor],
) -> tuple[dict[str, Term], dict[str, torch.Tensor | None]]:
    """The clustering terms of a case, and their losses by name."""
    clustering = Clustering(
        number(case, "teacher_temp"), number(case, "student_temp"), number(case, "radius")
    )
    terms = clustering_terms(
        features["student"],
        features["local"],
        features["teacher"],
        heads,
        teacher_logits,
        clustering,
    )
    return terms, {name: term.loss for name, term in terms.items()}


def values_of(
    terms: dict[str, Term],
    losses: dict[str, torch.Tensor | None],
    total: torch.Tensor,
    case: Case,
) -> dict[str, torch.Tensor]:
    """Pairs, targets and losses by the names of a case."""
    values = {"loss_total": total.detach()}
    for name, term in terms.items():
        values[f"pairs_{name}"] = term.pairs
        values[f"target_{name}"] = term.targets
        values[f"loss_{name}"] = term.loss.detach()
    if "image" in losses:
        weights = weights_of(case)
        image = losses["image"]
        if image is None:
            own = {name: losses[name] for name in TERMS}
            image = weighted_total(own, weights) / sum(weights[name] for name in TERMS)
        values["loss_2d"] = image.detach()
    return values


def masked(case: Case) -> dict[str, torch.Tensor]:
    """The mask of a case, and the student's coordinates with it."""
    coord = case.tensor("global_coord")
    cells = cells_of_points(coord, case.tensor("global_offset"), number(case, "cell"))
    mask = mask_of_points(cells, case.tensor("permutation"), number(case, "ratio"))
    sigma = number(case, "mask_jitter", MASK_JITTER)
    moved = jitter_masked(coord, mask, case.tensor("noise"), sigma)
    return {"mask": mask, "student_coord": moved}


#: Metres, of the cases that do not state it.
MASK_JITTER = 0.01


def _given(case: Case, part: str) -> ViewFeatures:
    """Features of levels of a case."""
    levels = sum(name.startswith(f"{part}_feat_") for name in case.arrays)
    feats = [case.tensor(f"{part}_feat_{level}") for level in range(levels)]
    if part != "teacher":
        feats = [feat.requires_grad_() for feat in feats]
    clusters = [case.tensor(f"{part}_parent_of_{level}") for level in range(levels - 1)]
    views = "local" if part == "local" else "global"
    origin, offset = case.tensor(f"{views}_origin_coord"), case.tensor(f"{views}_offset")
    return ViewFeatures(feats, clusters, origin, offset)


def _teacher_logits(case: Case, teacher: ViewFeatures) -> dict[str, torch.Tensor]:
    """Logits for the targets of both heads: the teacher's mask head, or each its own."""
    result = {}
    for name in ("mask", "unmask"):
        own = f"teacher_{name}_head_"
        prefix = own if f"{own}w1" in case.arrays else "teacher_mask_head_"
        with torch.no_grad():
            result[name] = filled_head(case, prefix)(teacher.joined)
    return result


def _geometry(features: dict[str, ViewFeatures], case: Case) -> dict[str, torch.Tensor]:
    """Places of the rows that are matched, and the view of each row of all coarser levels."""
    values = {}
    for part, found in features.items():
        values[f"{part}_origin_coord_{len(found.feats) - 3}"] = found.places
        for level in range(1, len(found.feats)):
            # Rows of a level lie view after view.
            values[f"{part}_batch_{level}"] = view_of_rows(found.offset_at(level))
    return values


def _pooled(student: ViewFeatures, images: ImageTargets) -> torch.Tensor:
    return pool_patches(images.patches, student.clusters, student.level(IMAGED))


def _is_output(name: str) -> bool:
    if name in OUTPUTS or name.startswith(("grad_", "pairs_", "target_", "loss_")):
        return True
    return "_batch_" in name or "_origin_coord_" in name

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Reference cases of the operations that several encoders share."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch

from concerto_ros.learning.objects.training.augment import rotate_about_y, scale_and_shift
from concerto_ros.learning.objects.training.losses import (
    chamfer_distance,
    chamfer_squared,
    smoothed_cross_entropy,
)
from concerto_ros.learning.objects.training.part_metric import category_of, score_parts
from concerto_ros.objects.encoders.shared.preprocess import swap_up, unit_sphere
from concerto_ros.objects.encoders.shared.sampling import farthest_point_sampling
from concerto_ros.verification.cases import Case

#: Whether points near the origin are skipped, by the variant of sampling in an array's name.
SKIPS = {"pointnet2_skip": True, "openpoints_noskip": False, "dgl_noskip": False, "dgl": False}

#: Begins the name of a loss with smoothed labels.
SMOOTHED = "loss_eps"

INPUTS = frozenset(
    {"raw", "degenerate", "points", "angle", "scale", "translate", "a", "b", "logits", "labels"}
    | {"log_probs", "targets", "grid_points_exact_ties"}
    | {f"points_{number}" for number in range(100)}
)


#: Outputs of a case by name.
Outputs = Mapping[str, torch.Tensor | np.ndarray]


def run_case(case: Case) -> Outputs:
    """Compute the outputs of one case, chosen by its name, to which more may be appended.

    Raises:
        ValueError: If the case is unknown.
    """
    for name, runner in RUNNERS.items():
        if case.name == name or case.name.startswith(f"{name}_"):
            return runner(case)
    raise ValueError(f"case is {case.name!r}, expected one of {', '.join(RUNNERS)}")


def _sampling(case: Case) -> dict[str, torch.Tensor]:
    outputs = {}
    for name, expected in case.arrays.items():
        if not name.startswith("idx_"):
            continue
        if name.startswith("idx_ties_"):
            points, variant = "grid_points_exact_ties", name.removeprefix("idx_ties_")
        else:
            variant, _, number = name.removeprefix("idx_").rpartition("_")
            points = f"points_{number}"
        outputs[name] = farthest_point_sampling(
            case.tensor(points)[None], len(expected), skip_near_origin=SKIPS[variant]
        )[0]
    return outputs


def _normalisation(case: Case) -> dict[str, torch.Tensor]:
    raw = case.tensor("raw")
    outputs = {"unit_sphere": unit_sphere(raw), "openshape_yup": unit_sphere(swap_up(raw))}
    if "degenerate" in case.arrays:
        outputs["degenerate_openshape"] = unit_sphere(swap_up(case.tensor("degenerate")))
    return outputs


def _augmentation(case: Case) -> dict[str, torch.Tensor]:
    points = case.tensor("points")
    return {
        "rotated": rotate_about_y(points, case.tensor("angle")),
        "scaled_translated": scale_and_shift(
            points, case.tensor("scale"), case.tensor("translate")
        ),
    }


def _chamfer(case: Case) -> dict[str, torch.Tensor]:
    first, second = case.tensor("a"), case.tensor("b")
    return {"l2": chamfer_squared(first, second), "l1": chamfer_distance(first, second)}


def _label_smoothing(case: Case) -> dict[str, torch.Tensor]:
    logits, labels = case.tensor("logits"), case.tensor("labels")
    # The digits after the point are in the name: loss_eps02 spreads 0.2 over the other classes.
    shares = {
        name: float(f"0.{name.removeprefix(SMOOTHED).removeprefix('0')}")
        for name in case.arrays
        if name.startswith(SMOOTHED)
    }
    return {name: smoothed_cross_entropy(logits, labels, e) for name, e in shares.items()}


def _part_metric(case: Case) -> dict[str, np.ndarray]:
    targets = case.arrays["targets"]
    score = score_parts(case.arrays["log_probs"], targets)
    return {
        "accuracy": np.array(score.accuracy),
        "instance_miou": np.array(score.instance_iou),
        "category_of_first_label": np.array([category_of(int(row[0])) for row in targets]),
    }


RUNNERS: dict[str, Callable[[Case], Outputs]] = {
    "fps": _sampling,
    "normalise": _normalisation,
    "augment": _augmentation,
    "chamfer": _chamfer,
    "label_smoothing": _label_smoothing,
    "partseg_metric": _part_metric,
}

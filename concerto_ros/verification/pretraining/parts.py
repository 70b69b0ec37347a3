# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Cases of single parts: assignment, matching, masks, heads, images, schedules, the teacher."""

from __future__ import annotations

import copy
import re

import numpy as np
import torch
from torch import nn

from concerto_ros.learning.pretraining.cluster_head import ClusterHead
from concerto_ros.learning.pretraining.masking import cells_of_points, mask_of_points
from concerto_ros.learning.pretraining.matching import match_views, rows_of_views, view_of_rows
from concerto_ros.learning.pretraining.objective import ImageTargets, patch_loss
from concerto_ros.learning.pretraining.presets import CONCERTO
from concerto_ros.learning.pretraining.schedules import OneCycle, layer_factor
from concerto_ros.learning.pretraining.sinkhorn import assignments
from concerto_ros.learning.pretraining.teacher import teacher_of, update_teacher
from concerto_ros.verification.cases import Case
from concerto_ros.verification.pretraining.outcome import Outcome, gradients, number


def sinkhorn(case: Case) -> Outcome:
    """Assignments; those of several ranks are one assignment of all their rows."""
    values = {}
    for name in case.arrays:
        if name.startswith("logits_"):
            part = name.removeprefix("logits_")
            temperature = number(case, f"temp_{part}")
            values[f"assign_{part}"] = assignments(case.tensor(name), temperature)
    ranks = sorted(
        (name for name in case.arrays if name.startswith("ranks_logits_")),
        key=lambda name: int(name.rpartition("_")[2]),
    )
    if ranks:
        logits = [case.tensor(name) for name in ranks]
        shared = assignments(torch.cat(logits), number(case, "temp_ranks"))
        parts = shared.split([len(part) for part in logits])
        values |= {
            name.replace("logits", "assign"): part for name, part in zip(ranks, parts, strict=True)
        }
    return Outcome(values, lambda name: name.startswith("temp_") or "logits" in name)


def matching(case: Case) -> Outcome:
    """Matches between views, and the order of views that are swapped two by two."""
    offset = case.tensor("roll_offset")
    swapped = [view ^ 1 for view in range(len(offset))]
    source, ends = rows_of_views(offset, swapped)
    values = {
        "pairs": match_views(
            case.tensor("view1_coord"),
            case.tensor("view1_offset"),
            case.tensor("view2_coord"),
            case.tensor("view2_offset"),
            number(case, "radius"),
        ),
        "roll_source": source,
        "roll_batch": view_of_rows(ends),
        "roll_new_offset": ends,
    }
    return Outcome(
        values, lambda name: name.startswith("view") or name in ("radius", "roll_offset")
    )


def masking(case: Case) -> Outcome:
    """Cells and masks for each setting of a case."""
    values = {}
    for name in case.arrays:
        if name.endswith("_cell_of_point"):
            part = name.removesuffix("_cell_of_point")
            coord, offset = case.tensor(f"{part}_coord"), case.tensor(f"{part}_offset")
            cells = cells_of_points(coord, offset, number(case, f"{part}_cell"))
            permutation = case.tensor(f"{part}_permutation")
            values[name] = cells
            values[f"{part}_mask"] = mask_of_points(
                cells, permutation, number(case, f"{part}_ratio")
            )
    inputs = re.compile(r".*_(coord|offset|cell|ratio|permutation)")
    return Outcome(values, lambda name: bool(inputs.fullmatch(name)))


def filled_head(case: Case, prefix: str = "") -> ClusterHead:
    """A head with the weights of a case, whose names begin with a prefix."""
    arrays = {
        name: case.tensor(f"{prefix}{name}") for name in ("w1", "b1", "w2", "b2", "prototypes_raw")
    }
    hidden, channels = arrays["w1"].shape
    prototypes, width = arrays["prototypes_raw"].shape
    result = ClusterHead(channels, hidden, width, prototypes)
    names = ("mlp.0.weight", "mlp.0.bias", "mlp.2.weight", "mlp.2.bias", "prototypes")
    result.load_state_dict(dict(zip(names, arrays.values(), strict=True)))
    return result


def head_parameters(head: ClusterHead, prefix: str = "") -> dict[str, torch.Tensor]:
    """The parameters of a head by the names of a case."""
    own = dict(head.named_parameters())
    return {
        f"{prefix}w1": own["mlp.0.weight"],
        f"{prefix}b1": own["mlp.0.bias"],
        f"{prefix}w2": own["mlp.2.weight"],
        f"{prefix}b2": own["mlp.2.bias"],
        f"{prefix}prototypes_raw": own["prototypes"],
    }


def head(case: Case) -> Outcome:
    """Logits of a head, and gradients for given ones of the logits."""
    module = filled_head(case)
    features = case.tensor("features").requires_grad_()
    logits = module(features)
    logits.backward(case.tensor("cotangent"))
    found = gradients({"features": features, **head_parameters(module)})
    chosen = {name: value for name, value in found.items() if name in case.arrays}
    return Outcome(
        {"logits": logits.detach(), **chosen},
        lambda name: name != "logits" and not name.startswith("grad_"),
    )


def joint2d(case: Case) -> Outcome:
    """The term of images of given features."""
    features = case.tensor("features").requires_grad_()
    projection = filled_projection(case)
    patches = case.tensor("correspondence")
    loss = patch_loss(
        features, case.tensor("offset"), patches, image_targets(case, patches), projection
    )
    if loss is not None:
        loss.backward()
    found = gradients(
        {
            "features": features,
            "proj_weight": projection.weight,
            "proj_bias": projection.bias,
        }
    )
    value = torch.tensor(np.nan) if loss is None else loss.detach()
    return Outcome(
        {"loss": value, **found}, lambda name: name != "loss" and not name.startswith("grad_")
    )


def filled_projection(case: Case, prefix: str = "proj_") -> nn.Linear:
    """The projection of a case, whose names begin with a prefix."""
    weight, bias = case.tensor(f"{prefix}weight"), case.tensor(f"{prefix}bias")
    module = nn.Linear(weight.shape[1], weight.shape[0])
    module.load_state_dict({"weight": weight, "bias": bias})
    return module


def image_targets(case: Case, patches: torch.Tensor) -> ImageTargets:
    """The image features of a case; the first tokens of an image are no patches."""
    settings = case.meta.get("settings", {})
    grid = case.arrays.get("patch_grid", settings.get("patch_grid"))
    rows, columns = (int(size) for size in grid)
    tokens = case.tensor("image_tokens")
    if "token_prefix" in case.arrays or "token_prefix" in settings:
        tokens = tokens[:, int(number(case, "token_prefix")) :]
    tokens = tokens[:, : rows * columns] if len(tokens) else tokens
    counts = [int(count) for count in case.arrays["img_num"]]
    return ImageTargets(tokens, (rows, columns), counts, patches)


def schedules(case: Case) -> Outcome:
    """All schedules of a run, and the rates of its parameter groups."""
    steps = int(case.arrays["total_steps"])
    resume_at = int(case.arrays["resume_at"])
    depths = [int(depth) for depth in case.arrays["depths"]]
    preset = CONCERTO

    def row(step: int) -> list[float]:
        values = (preset.cell, preset.ratio, preset.teacher_temperature, preset.momentum)
        return [value.at(step, steps) for value in values]

    names = [(f"enc{s}.block{b}.",) for s, depth in enumerate(depths) for b in range(depth)]
    groups = case.meta.get("parameter_groups")
    factors = [
        layer_factor(members[0], depths, preset.layer_decay)
        for members in (groups or [("stem",), *names])
    ]
    cycle = OneCycle(preset.learning_rate, steps=steps)
    rates = [cycle.rate(step / steps) for step in range(len(case.arrays["lr"]))]
    values = {
        "table": [row(step) for step in range(len(case.arrays["table"]))],
        "table_resumed": [
            row(resume_at + step) for step in range(len(case.arrays["table_resumed"]))
        ],
        "weight_decay": [
            preset.weight_decay.at(step, steps) for step in range(len(case.arrays["weight_decay"]))
        ],
        "lr": np.outer(rates, factors),
        "lr_peak": np.array(factors) * preset.learning_rate,
        "beta1": [cycle.beta(step) for step in range(len(case.arrays["beta1"]))],
    }
    return Outcome(values, lambda name: name in ("depths", "total_steps", "resume_at"))


def teacher(case: Case) -> Outcome:
    """The teacher after a step, with a moving and with a fixed backbone."""
    values: dict[str, torch.Tensor] = {}
    for mode in sorted({name.split("/")[0] for name in case.arrays if "/" in name}):
        student = _module(case, f"{mode}/student/")
        start = teacher_of(student)
        if mode == "online":
            same = [
                torch.equal(own, other)
                for own, other in zip(start.parameters(), student.parameters(), strict=True)
            ]
            values["same_at_start"] = torch.tensor(same)
        own = _module(case, f"{mode}/teacher/")
        fixed = "backbone:" if mode == "offline" else None
        update_teacher(own, student, number(case, "momentum"), fixed=fixed)
        for name, value in own.named_parameters():
            values[f"{mode}/teacher_after/{name.replace(':', '.')}"] = value
    return Outcome(values, lambda name: name != "same_at_start" and "/teacher_after/" not in name)


def _module(case: Case, prefix: str) -> nn.Module:
    """A module with the parameters of a case; a name of a parameter may have no dot."""
    module = nn.Module()
    for name in case.arrays:
        if name.startswith(prefix):
            parameter = nn.Parameter(case.tensor(name).clone(), requires_grad=False)
            module.register_parameter(name.removeprefix(prefix).replace(".", ":"), parameter)
    return copy.deepcopy(module)

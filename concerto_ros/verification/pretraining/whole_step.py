# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Cases of one whole step of a training with a small encoder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import nn

from concerto_ros.learning.pretraining.objective import (
    ViewFeatures,
    image_term,
    weighted_total,
)
from concerto_ros.learning.pretraining.schedules import OneCycle, layer_factor
from concerto_ros.learning.pretraining.student import Learner, Views
from concerto_ros.learning.pretraining.teacher import update_teacher
from concerto_ros.ptv3.config import PTv3Config
from concerto_ros.ptv3.encoder import Encoder
from concerto_ros.verification.cases import Case
from concerto_ros.verification.pretraining.outcome import Outcome, number
from concerto_ros.verification.pretraining.parts import filled_projection, image_targets
from concerto_ros.verification.pretraining.steps import losses_of, masked, values_of, weights_of

#: Our names of parameters, where they are not the case's.
NAMES = {
    "mask_token": "backbone.embedding.mask_token",
    "mask_head.prototypes": "mask_head.prototype.parametrizations.weight.original1",
    "unmask_head.prototypes": "unmask_head.prototype.parametrizations.weight.original1",
}

#: Below this gradient the first step of AdamW depends on its last bits.
TINY = 1e-5


def encoder_step(case: Case) -> Outcome:
    """A step: features, losses, gradients, and the parameters after it."""
    student, teacher = (_learner(case, part) for part in ("student", "teacher"))
    teacher.requires_grad_(False)
    found = masked(case)
    views = {
        "teacher": _views(case, "global", case.tensor("global_coord")),
        "student": _views(case, "global", found["student_coord"], found["mask"]),
        "local": _views(case, "local", case.tensor("local_coord")),
    }
    features = {part: (teacher if part == "teacher" else student)(views[part]) for part in views}
    heads = {"mask": student.mask_head, "unmask": student.unmask_head}
    with torch.no_grad():
        logits = teacher.mask_head(features["teacher"].joined)
    terms, losses = losses_of(case, features, heads, {"mask": logits, "unmask": logits})
    parameters = dict(_named(student, "student"))
    if "image_tokens" in case.arrays:
        projection = filled_projection(case, "weights/patch_proj.")
        images = image_targets(case, case.tensor("global_correspondence"))
        losses["image"] = image_term(features["student"], images, projection)
        parameters |= {f"patch_proj.{name}": p for name, p in projection.named_parameters()}
    weights = weights_of(case)
    if "image" in weights:
        losses.setdefault("image", None)
    total = weighted_total(losses, weights)
    total.backward()
    values = {
        **values_of(terms, losses, total, case),
        **found,
        **{f"grid_{part}": value.grid.int() for part, value in views.items()},
        **_top(features),
    }
    values |= {f"grad/{name}": _gradient(value) for name, value in parameters.items()}
    norm = nn.utils.clip_grad_norm_(parameters.values(), number(case, "clip"))
    values["grad_norm"] = norm
    where = {
        f"after/{name}": (_gradient(value).abs() > TINY).numpy()
        for name, value in parameters.items()
    }
    rates = _step(case, parameters, student.backbone.config.enc_depths)
    update_teacher(teacher, student, number(case, "momentum"))
    values |= {f"after/{name}": value for name, value in parameters.items()}
    values |= {f"after/{name}": value for name, value in _named(teacher, "teacher")}
    detached = {name: value.detach() for name, value in values.items()} | rates
    return Outcome(detached, lambda name: not _is_output(name, detached), where=where)


def _is_output(name: str, values: Mapping[str, object]) -> bool:
    return name in values or name.startswith(("grad/", "after/", "loss_", "pairs_"))


def _gradient(parameter: nn.Parameter) -> torch.Tensor:
    """A copy of the gradient of a parameter, as clipping and the step change it."""
    grad = parameter.grad
    return torch.zeros_like(parameter) if grad is None else grad.clone()


def _step(
    case: Case, parameters: dict[str, nn.Parameter], depths: tuple[int, ...]
) -> dict[str, torch.Tensor]:
    """Take the first step of the run; its rates, one for each group, and the first beta."""
    cycle = OneCycle(number(case, "lr_peak"), steps=int(number(case, "total_steps")))
    decay = number(case, "layer_decay")
    groups = [
        {"params": [value], "lr": cycle.rate(0) * layer_factor(name, depths, decay)}
        for name, value in parameters.items()
    ]
    betas = (cycle.beta(0), 0.999)
    optimizer = torch.optim.AdamW(groups, betas=betas, weight_decay=number(case, "weight_decay"))
    optimizer.step()
    blocks = [f"enc{s}.block{b}." for s, depth in enumerate(depths) for b in range(depth)]
    rates = [cycle.rate(0) * layer_factor(name, depths, decay) for name in ("stem", *blocks)]
    return {
        "lr_first": torch.tensor(rates, dtype=torch.float64),
        "beta1_first": torch.tensor(betas[0], dtype=torch.float64),
    }


def _learner(case: Case, part: str) -> Learner:
    """Student or teacher with the weights of a case."""
    backbone = Encoder(PTv3Config.from_official(case.meta["config"]))
    prefix = f"weights/{part}."
    hidden = case.arrays[f"{prefix}mask_head.mlp.0.weight"].shape[0]
    prototypes, width = case.arrays[f"{prefix}{NAMES['mask_head.prototypes']}"].shape
    result = Learner(backbone, hidden, width, prototypes)
    with torch.no_grad():
        for name, parameter in _named(result, f"weights/{part}"):
            parameter.copy_(case.tensor(name))
    return result


def _named(module: nn.Module, prefix: str) -> Iterator[tuple[str, nn.Parameter]]:
    """The parameters by the names of a case."""
    for name, parameter in module.named_parameters():
        yield f"{prefix}.{NAMES.get(name, name)}", parameter


def _views(case: Case, which: str, coord: torch.Tensor, mask: torch.Tensor | None = None) -> Views:
    """Views of a case, on the grid that begins at the minimum of the batch."""
    grid = torch.floor((coord - coord.amin(dim=0)) / number(case, "grid_size")).long()
    feat = case.tensor(f"{which}_feat")
    origin, offset = case.tensor(f"{which}_origin_coord"), case.tensor(f"{which}_offset")
    return Views(feat, grid, coord, origin, offset, mask)


def _top(features: dict[str, ViewFeatures]) -> dict[str, torch.Tensor]:
    """The coarsest features of each part."""
    return {
        f"{part}_feat_{len(found.feats) - 1}": found.feats[-1] for part, found in features.items()
    }

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Reference cases of MixCon3D's training: steps, augmentation, learning rate, scores."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from concerto_ros.learning.objects.mixcon3d.augment import Draws, augmented
from concerto_ros.learning.objects.mixcon3d.contrast import SCALES, ContrastModel
from concerto_ros.learning.objects.mixcon3d.optimisation import (
    Batch,
    Optimisation,
    WarmUpAndCosine,
)
from concerto_ros.learning.objects.training.scores import RankedAccuracy
from concerto_ros.objects.encoders.mixcon3d.encoder import HEAD_WIDTH, MixCon3D
from concerto_ros.objects.encoders.mixcon3d.network import Balls, PointPatchTransformer, Sizes
from concerto_ros.objects.encoders.shared.preprocess import swap_up, unit_sphere
from concerto_ros.objects.encoders.shared.weights import load_weights
from concerto_ros.verification.cases import Case
from concerto_ros.words.vocabulary import cosine_scores

#: Outputs of a case by name.
Outputs = dict[str, torch.Tensor | np.ndarray]


def is_training_case(case: Case) -> bool:
    """Return whether the case is one of the training, and not of the encoder."""
    return _runner(case) is not None


def run_training_case(case: Case) -> Outputs:
    """Compute the outputs of a case of the training.

    Raises:
        ValueError: If it is none.
    """
    runner = _runner(case)
    if runner is None:
        raise ValueError(f"case {case.name} is none of MixCon3D's training")
    with torch.inference_mode(False), torch.enable_grad():
        return runner(case)


def _runner(case: Case) -> Callable[[Case], Outputs] | None:
    """Choose by what the case holds, so that its name is free."""
    by_array: dict[str, Callable[[Case], Outputs]] = {
        "start_logit_scales": _steps,
        "file_points": _augmentation,
        "embeddings": _evaluation,
        "lr_used_milli": _schedule,
    }
    return next((run for name, run in by_array.items() if name in case.arrays), None)


def _schedule(case: Case) -> Outputs:
    training = case.meta["training"]
    epoch, rate = training["steps_per_epoch"], (training["lr"], training["min_lr"])
    steps, warm_up = training["epochs"] * epoch, training["warmup_epochs"] * epoch
    schedule = WarmUpAndCosine(*rate, warm_up, steps)
    return {"lr_used_milli": np.array([1000 * schedule.rate(step) for step in range(steps)])}


def _augmentation(case: Case) -> Outputs:
    value = case.arrays
    normalised = unit_sphere(swap_up(case.tensor("file_points")))
    draws = Draws(
        value["dropout_ratio_draw"].item(),
        value["dropout_point_draws"],
        value["scale"].item(),
        value["shift"],
        value["perturbation_normals"],
        value["z_angle"].item(),
    )
    return {"normalised": normalised, "augmented": augmented(normalised, draws)}


def _evaluation(case: Case) -> Outputs:
    texts = nn.functional.linear(
        case.tensor("class_text_features"),
        case.tensor("text_proj_weight"),
        case.tensor("text_proj_bias"),
    )
    logits = cosine_scores(case.tensor("embeddings"), texts).cpu().numpy()
    score = RankedAccuracy.of(logits, case.arrays["labels"].astype(np.int64))
    shares = {f"top{rank}": share for rank, share in score.top.items()}
    shares["mean_class_accuracy"] = score.class_mean
    return {name: np.asarray(100 * share, np.float32) for name, share in shares.items()}


def _steps(case: Case) -> Outputs:
    """Take the steps of a case and report what each array of it asks for."""
    training, model = case.meta["training"], _model(case)
    start = {name: value.clone() for name, value in model.state_dict().items()}
    schedule = WarmUpAndCosine(
        training["lr"], training["min_lr"], training["warmup_steps"], training["total_steps"]
    )
    optimisation = Optimisation(model, schedule, decay=training["ema_decay"])
    batches, together = _batches(case), training["accum_freq"]
    outputs: Outputs = {}
    if together == 1:
        outputs |= _first_vectors(model, batches[0])
    rates: list[float] = []
    losses: list[dict[str, torch.Tensor]] = []
    accuracies: list[tuple[torch.Tensor, torch.Tensor]] = []
    for number in range(0, len(batches) - together + 1, together):
        rates.append(1000 * optimisation.rate)
        result = optimisation.take_step(batches[number : number + together])
        if not losses:
            outputs |= _gradients(case, model)
        losses.append(result.losses | {"total": result.total})
        accuracies.append((result.point_text_accuracy, result.point_image_accuracy))
    outputs["lr_used_milli"] = np.array(rates)
    for name in losses[0]:
        outputs[f"loss_{name}"] = torch.stack([one[name] for one in losses])
    for name, values in zip(("text", "image"), zip(*accuracies, strict=True), strict=True):
        outputs[f"accuracy_point_{name}"] = torch.stack(values)
    final = {_published(name): value for name, value in model.state_dict().items()}
    first = {_published(name): value for name, value in start.items()}
    average = optimisation.average.encoder.state_dict()
    outputs |= {f"final__{name}": value for name, value in final.items()}
    outputs |= {f"ema__{_published('encoder.' + name)}": value for name, value in average.items()}
    outputs |= {
        f"change_x100__{name}": 100 * (value - first[name])
        for name, value in final.items()
        if value.is_floating_point()
    }
    return outputs


def _model(case: Case) -> ContrastModel:
    config = case.config
    sizes = Sizes(config["dim"], config["depth"], config["mlp_dim"], config["sa_dim"])
    balls = Balls(config["patches"], config["radius"], config["nsample"])
    trunk = PointPatchTransformer(
        sizes, balls, config["heads"], config.get("dim_head", HEAD_WIDTH)
    )
    model = ContrastModel(
        MixCon3D(trunk, sizes.width, config["out_channel"], case.meta["n_points"])
    )
    names = {_published(name): name for name in model.state_dict()}
    state = {names.get(name, name): value for name, value in case.state().items()}
    starts = torch.from_numpy(case.arrays["start_logit_scales"])
    order = ("point_text", "point_image", "image_text", "fused_text")
    state |= {f"scales.{name}": value for name, value in zip(order, starts, strict=True)}
    load_weights(model, state, case.weights)
    return model.to(case.device)


def _published(name: str) -> str:
    """Return the published name of a parameter of the training's model."""
    if name.startswith("scales."):
        return f"{SCALES[name.removeprefix('scales.')]}_logit_scale.logit_scale"
    return name.removeprefix("encoder.").replace("pc_img_proj.", "pc_img_to_text_proj.")


def _batches(case: Case) -> list[Batch]:
    clouds = torch.cat([case.tensor("xyz"), case.tensor("rgb")], -1)
    whole = (clouds, case.tensor("text_features"), case.tensor("image_features"))
    return [Batch(*parts) for parts in zip(*whole, strict=True)]


@torch.no_grad()
def _first_vectors(model: ContrastModel, batch: Batch) -> Outputs:
    """Embed the first batch as the first step does, without touching the running statistics."""
    buffers = {name: value.clone() for name, value in model.named_buffers()}
    vectors = model.train()(batch.clouds, batch.texts, batch.images)
    for name, value in model.named_buffers():
        value.copy_(buffers[name])
    return {
        "embedding_step0": vectors.points,
        "image_projected_step0": model.encoder.project_words(batch.images),
        "text_projected_step0": vectors.texts,
        "fused_step0": vectors.fused,
    }


def _gradients(case: Case, model: ContrastModel) -> Outputs:
    found = {
        _published(name): value.grad.clone()
        for name, value in model.named_parameters()
        if value.grad is not None
    }
    norms = [found[name].norm() for name in case.meta["grad_norm_keys"]]
    named = {f"grad_step0__{name}": value for name, value in found.items()}
    return {"grad_norms_step0": torch.stack(norms), **named}

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Reference cases of I2P-MAE's pre-training: one step with every random choice given."""

from __future__ import annotations

import torch

from concerto_ros.learning.objects.pretraining.i2p_mae import masking, network, projection
from concerto_ros.learning.objects.pretraining.i2p_mae.recipe import PUBLISHED
from concerto_ros.learning.objects.training.fine_tune import rate_and_decay
from concerto_ros.learning.objects.training.training_run import parameter_groups
from concerto_ros.objects.encoders.i2p_mae.network import Grouping
from concerto_ros.objects.encoders.shared.clip import image_tower
from concerto_ros.objects.encoders.shared.preprocess import unit_sphere
from concerto_ros.objects.encoders.shared.weights import part
from concerto_ros.verification.cases import Case

Outputs = dict[str, torch.Tensor]


def grouping_of(case: Case) -> Grouping:
    """Return how the tokens of a case are made."""
    sizes = (case.config[name] for name in ("num_groups", "group_sizes", "local_radius"))
    return Grouping(*map(tuple, sizes))


@torch.inference_mode(False)
def run_pretraining(case: Case) -> Outputs:
    """Run one step in training mode, and the losses in evaluation mode."""
    points, order = case.tensor("points").clone(), case.tensor("draw_order").clone()
    model = _load(case)
    levels = model.h_encoder.geometry(points)
    visible = masking.visible_groups(order, case.config["mask_ratio"])
    pixels = projection.pixels_of(points)
    images = projection.depth_images(points, pixels)
    guidance = _taught(case, images, pixels)
    saliency = network.centre_saliency(guidance, levels[-1])
    weights = masking.sampling_weights(saliency)
    outputs = {
        "fps_idx": levels[0].rows,
        "pixels": pixels,
        "images_item0": images[:, 0, 0],
        "images_channel_means": images.mean((-2, -1)),
        "img_feats": guidance.features.flatten(0, 1),
        "img_sals_x1000": 1000 * guidance.saliency.flatten(0, 1),
        "center_saliency_x1000": 1000 * saliency,
        "sampling_deviation_percent": 100 * (weights * weights.shape[1] - 1),
    }
    with torch.no_grad():
        losses = model.eval()(points, levels, visible, guidance).losses()
    outputs |= {"loss_3d_eval_mode": losses["points"], "loss_2d_eval_mode": losses["features"]}
    result = model.train()(points, levels, visible, guidance)
    losses = result.losses()
    outputs |= _of_levels(result)
    outputs |= {
        "loss_3d": losses["points"],
        "loss_2d": losses["features"],
        "loss_total": losses["points"] + losses["features"],
    }
    buffers = model.named_buffers()
    outputs |= {f"after_forward__{name}": value.clone() for name, value in buffers}
    outputs |= _step(case, model, losses)
    return {name: value.detach() for name, value in outputs.items()}


def run_schedule(case: Case) -> Outputs:
    """Compute the points of an object and the learning rate of each epoch."""
    points = case.tensor("file_points")[case.tensor("permutation")][: case.meta["n_points"]]
    recipe = PUBLISHED.training
    epochs = range(len(case.arrays["lr_by_epoch_micro"]))
    rates = [1e6 * recipe.rate(epoch, recipe.learning_rate) for epoch in epochs]
    return {
        "object_points": unit_sphere(points),
        "lr_by_epoch_micro": torch.tensor(rates, dtype=torch.float64),
    }


def _load(case: Case) -> network.I2PMAEPretraining:
    model = network.from_state(
        case.state(), case.weights, grouping=grouping_of(case), heads=case.config["num_heads"]
    )
    return model.to(case.device)


@torch.no_grad()
def _taught(case: Case, images: torch.Tensor, pixels: torch.Tensor) -> network.Guidance:
    tower = image_tower(part(case.state(), network.TEACHER), case.weights).to(case.device)
    features, saliency = tower.patch_features(images.flatten(0, 1))
    views = images.shape[:2]
    return network.Guidance(pixels, features.unflatten(0, views), saliency.unflatten(0, views))


def _of_levels(result: network.Reconstruction) -> Outputs:
    outputs = {
        "decoder_out": result.tokens,
        "rec_3d": result.rebuilt,
        "gt_3d": result.true,
    }
    if result.seen is not None and result.taught is not None:
        outputs |= {"rec_2d": result.seen, "target_2d": result.taught}
    for number, level in enumerate(result.levels):
        visible = level.geometry.visible
        assert visible is not None  # pre-training hides some
        outputs[f"mask_level{number}"] = ~visible
        outputs[f"encoded_level{number}"] = level.encoded
        outputs[f"tokens_embed_{number}"] = level.embedded
    for number, decoded in enumerate(result.decoded):
        outputs[f"decoder{number}_out"] = decoded.tokens
        if number:
            name = "token_prop_out" if number == 1 else f"token_prop{number - 1}_out"
            outputs[name] = decoded.given
    # The reference decodes the visible tokens of the highest level first, then the masked ones.
    order = (
        outputs[f"mask_level{len(result.levels) - 1}"].to(torch.uint8).argsort(dim=1, stable=True)
    )
    outputs["decoder0_out"] = torch.stack(
        [tokens[rows] for tokens, rows in zip(outputs["decoder0_out"], order, strict=True)]
    )
    return outputs


def _step(
    case: Case, model: network.I2PMAEPretraining, losses: dict[str, torch.Tensor]
) -> Outputs:
    """Compute all gradients, and what one step of the optimiser changes."""
    parameters = dict(model.named_parameters())
    before = {name: value.detach().clone() for name, value in parameters.items()}
    sum(losses.values(), torch.zeros((), device=case.device)).backward()
    gradients = {
        name: torch.zeros_like(value) if value.grad is None else value.grad
        for name, value in parameters.items()
    }
    outputs = {f"grad__{name}": value.clone() for name, value in gradients.items()}
    outputs["grad_norms"] = torch.stack(
        [torch.linalg.vector_norm(gradients[name]) for name in case.meta["grad_norm_keys"]]
    )
    recipe = PUBLISHED.training
    groups = parameter_groups(parameters, recipe, rate_and_decay)
    torch.optim.AdamW(groups, lr=recipe.learning_rate).step()
    changes = {name: 1000 * (value - before[name]) for name, value in parameters.items()}
    return outputs | {f"step_change_x1000__{name}": value for name, value in changes.items()}

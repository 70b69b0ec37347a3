# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Reference cases of Any2Point."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from concerto_ros.objects.encoders.any2point.encoder import Any2Point, from_state
from concerto_ros.objects.encoders.any2point.projection import project
from concerto_ros.objects.encoders.any2point.variants import VARIANTS
from concerto_ros.objects.encoders.shared.sampling import farthest_point_sampling
from concerto_ros.verification.cases import Case
from concerto_ros.verification.generated_weights import recipe_state

#: Arrays of a case that are inputs.
INPUTS = ("points", "source_pos_embed")

#: Constants of a variant by their names in a case.
CONSTANTS = {
    "coef_pro": "guidance",
    "grid3d": "voxel",
    "grid_src": "cell",
    "pos_cor": "direction",
    "scale_factor": "adapter_scale",
    "trans": "shift",
}


def batch_of(case: Case) -> torch.Tensor:
    """Return the clouds of a case, (B, N, 3)."""
    return case.tensor("points")


def load_case(case: Case, **options: Any) -> Any2Point:
    """Load the model of a case in evaluation mode.

    Args:
        case: The case; its name begins with a variant.
        options: Keywords of ``from_state``.

    Raises:
        ValueError: If the variant is unknown.
    """
    name = next((name for name in VARIANTS if case.name.startswith(f"{name}_")), None)
    if name is None:
        raise ValueError(
            f"case is {case.name!r}, expected <variant>_<kind> with <variant> one of"
            f" {', '.join(VARIANTS)}"
        )
    constants = {own: case.config[key] for key, own in CONSTANTS.items() if key in case.config}
    if case.from_recipe:
        shapes = {name.removeprefix("<source>"): shape for name, shape in case.shapes().items()}
        state = recipe_state(shapes, case.meta["weight_seed"])
    else:
        state = case.state() | {case.meta["source_pos_key"]: case.tensor("source_pos_embed")}
    model = from_state(
        state,
        case.weights,
        variant=replace(VARIANTS[name], **constants),
        heads=case.config["heads"],
        neighbours=case.config["knn"],
        **options,
    )
    return model.eval().requires_grad_(False).to(case.device)


def run_case(case: Case) -> dict[str, torch.Tensor]:
    """Compute all arrays that a case can hold, by name."""
    model = load_case(case)
    points = batch_of(case)
    seen: dict[str, torch.Tensor] = {}
    hook = model.blocks[0].register_forward_hook(
        lambda _, inputs, output: seen.update(block0_in=inputs[0], block0_out=output)
    )
    feature = model.embed(points)
    hook.remove()
    centres, tokens = model.patch_embed["EncP"](points, model.per_object)
    projected = project(centres, model.position_table, model.variant, model.per_object)
    coordinates = enumerate(projected.coordinates)
    return seen | {
        "fps_idx": farthest_point_sampling(points, 512, skip_near_origin=True),
        "centers": centres,
        "patch_tokens": tokens,
        **{f"source_coord_{axis}": value for axis, value in coordinates},
        "feature": feature,
        "logits": model.head(feature),
    }

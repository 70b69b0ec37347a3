# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Reference cases of I2P-MAE: its encoder, and its pre-training."""

from __future__ import annotations

import torch

from concerto_ros.objects.encoders.i2p_mae.encoder import I2PMAE, from_state
from concerto_ros.verification.cases import Case
from concerto_ros.verification.i2p_mae_pretraining import (
    grouping_of,
    run_pretraining,
    run_schedule,
)

INPUTS = ("points",)


def run_case(case: Case) -> dict[str, torch.Tensor]:
    """Compute the outputs of a case, according to the class of the reference that made it."""
    made_by = case.meta.get("upstream_class", "")  # missing where features alone were computed
    if "train mode" in made_by:
        return run_pretraining(case)
    if "Scheduler" in made_by:
        return run_schedule(case)
    return _features(case)


def _features(case: Case) -> dict[str, torch.Tensor]:
    """Compute features with their intermediate results, and logits where the case has a head."""
    model = load_case(case)
    levels = list(model.h_encoder.levels(batch_of(case)))
    top = levels[-1].encoded
    outputs = {"fps_idx": levels[0].geometry.rows, "encoder_out": top, "feature": model.pool(top)}
    for number, level in enumerate(levels[:-1]):
        outputs[f"tokens_embed_{number}"] = level.embedded
        outputs[f"level{number}_out"] = level.encoded
        if level.geometry.visible is not None:
            outputs[f"visible_level{number}"] = level.geometry.visible
    if model.cls_head_finetune is None:
        outputs["top_tokens"] = model.h_encoder.normalise_top(top)
    else:
        outputs["logits"] = model.cls_head_finetune(outputs["feature"])
    return outputs


def batch_of(case: Case) -> torch.Tensor:
    """Return the clouds of a case, (B, N, 3)."""
    return case.tensor("points")


def load_case(case: Case) -> I2PMAE:
    """Load the model of a case."""
    model = from_state(
        case.state(),
        case.weights,
        grouping=grouping_of(case),
        points=case.meta["n_points"],
        heads=case.config["num_heads"],
    )
    return model.eval().to(case.device)

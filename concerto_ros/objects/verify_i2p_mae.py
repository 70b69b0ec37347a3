# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Reference cases of I2P-MAE."""

from __future__ import annotations

import torch

from concerto_ros.objects.i2p_encoder import Grouping
from concerto_ros.objects.i2p_mae import from_state
from concerto_ros.objects.verify import Case

INPUTS = ("points",)


def run_case(case: Case) -> dict[str, torch.Tensor]:
    """Features, and logits where the case has a head, with what leads to them."""
    config = case.config
    grouping = Grouping(
        *(tuple(config[name]) for name in ("num_groups", "group_sizes", "local_radius"))
    )
    model = from_state(case.state(), case.weights, grouping=grouping, heads=config["num_heads"])
    model = model.eval().to(case.device)
    levels = list(model.h_encoder.levels(case.tensor("points")))
    top = levels[-1].encoded
    outputs = {"fps_idx": levels[0].geometry.rows, "feature": model.pool(top)}
    for number, level in enumerate(levels[:-1]):
        outputs[f"tokens_embed_{number}"] = level.embedded
        outputs[f"level{number}_out"] = level.encoded
        outputs[f"visible_level{number}"] = level.geometry.visible
    outputs["encoder_out"] = top
    if model.classes is None:
        outputs["top_tokens"] = model.h_encoder.encoder_norms[-1](top)
    else:
        outputs["logits"] = model.cls_head_finetune(outputs["feature"])
    return outputs

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Reference cases of MixCon3D."""

from __future__ import annotations

import torch

from concerto_ros.objects.mixcon3d import MixCon3D, from_state
from concerto_ros.objects.openshape_encoder import Balls
from concerto_ros.objects.recipe import recipe_state
from concerto_ros.objects.verify import Case
from concerto_ros.objects.weights import find_state
from concerto_ros.objects.zero_shot import cosine_scores

INPUTS = ("points", "features", "features_rgb", "class_text_features", "image_features")


def run_case(case: Case) -> dict[str, torch.Tensor]:
    """Vectors of clouds, and what words and pictures make of them."""
    model = _model(case)
    trace = model.ppat.trace(_batch(case))
    embedding = model.proj(trace.encoded[:, 0])
    outputs = {
        "fps_idx": trace.rows,
        "ball_idx": trace.members,
        "sa_out": trace.balls.transpose(1, 2),
        "tokens": trace.lifted,
        "transformer_out": trace.encoded,
        "cls_feature": trace.encoded[:, 0],
        "embedding": embedding,
        **_logits(model, case, embedding),
    }
    if "embedding_live_weights" in case.arrays:
        outputs["embedding_live_weights"] = _model(case, "live").embed(_batch(case))
    return outputs


def _logits(model: MixCon3D, case: Case, embedding: torch.Tensor) -> dict[str, torch.Tensor]:
    words = model.project_words(case.tensor("class_text_features"))
    images = case.tensor("image_features")
    first, views = model.project_views(images[:, :1]), model.project_views(images)
    by_cloud, by_views = cosine_scores(embedding, words), cosine_scores(views, words)
    return {
        "logits_pc": by_cloud,
        "logits_img": cosine_scores(first, words),
        "logits_img_mv": by_views,
        "logits_pc_img": cosine_scores(model.fuse(embedding, first), words),
        "logits_pc_img_mv": cosine_scores(model.fuse(embedding, views), words),
        "logits_merge": by_cloud + by_views,
    }


def _model(case: Case, weights: str | None = None) -> MixCon3D:
    config = case.config
    balls = Balls(config["patches"], config["radius"], config["nsample"])
    if case.from_recipe:
        shapes, seed = case.shapes(), case.meta["weight_seed"]
        content = {name: recipe_state(names, seed) for name, names in shapes.items()}
        state = content.pop("encoder")
        for name, inner in content.items():
            content[name] = {key.removeprefix(f"{name}."): v for key, v in inner.items()}
    else:
        content = case.content()
        state = find_state(content, case.weights)
    model = from_state(
        state,
        case.weights,
        content,
        weights=weights,
        balls=balls,
        head_width=config.get("dim_head", 64),
    )
    return model.eval().to(case.device)


def _batch(case: Case) -> torch.Tensor:
    if "features" in case.arrays:
        return case.tensor("features")
    return torch.cat([case.tensor("points"), case.tensor("features_rgb")], 2)

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Reference cases of MixCon3D; ``mixcon3d_training`` runs those of its training."""

from __future__ import annotations

import torch

from concerto_ros.objects.encoders.mixcon3d.encoder import HEAD_WIDTH, MixCon3D, from_state
from concerto_ros.objects.encoders.mixcon3d.network import Balls
from concerto_ros.objects.encoders.shared.weights import find_state
from concerto_ros.verification.cases import Case
from concerto_ros.verification.generated_weights import recipe_state
from concerto_ros.verification.mixcon3d_training import (
    Outputs,
    is_training_case,
    run_training_case,
)
from concerto_ros.words.vocabulary import cosine_scores

INPUTS = ("points", "features", "features_rgb", "class_text_features", "image_features")


def run_case(case: Case) -> Outputs:
    """Compute vectors of clouds and their scores with words and pictures, or run a training."""
    if is_training_case(case):
        return run_training_case(case)
    model = load_case(case)
    trace = model.ppat.trace(batch_of(case))
    embedding = model.proj(trace.encoded[:, 0])
    outputs: Outputs = {
        "fps_idx": trace.rows,
        "ball_idx": trace.members,
        "sa_out": trace.balls.transpose(1, 2),
        "tokens": trace.lifted,
        "transformer_out": trace.encoded,
        "cls_feature": trace.encoded[:, 0],
        "embedding": embedding,
    }
    if "class_text_features" in case.arrays:
        outputs |= _logits(model, case, embedding)
    if "embedding_live_weights" in case.arrays:
        outputs["embedding_live_weights"] = load_case(case, "live").embed(batch_of(case))
    return outputs


def load_case(case: Case, weights: str | None = None) -> MixCon3D:
    """Load the model of a case.

    Args:
        case: The case.
        weights: ``live`` or ``ema``, for a file of MixCon3D.
    """
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
        points=case.meta["n_points"],
        head_width=config.get("dim_head", HEAD_WIDTH),
    )
    return model.eval().to(case.device)


def _logits(model: MixCon3D, case: Case, embedding: torch.Tensor) -> dict[str, torch.Tensor]:
    """Compute cosines of words with clouds, with views and, for MixCon3D, with both fused."""
    words = model.project_words(case.tensor("class_text_features"))
    images = case.tensor("image_features")
    first, views = model.project_views(images[:, :1]), model.project_views(images)
    vectors = {"pc": embedding, "img": first, "img_mv": views}
    if model.pc_img_proj is not None:
        vectors |= {"pc_img": model.fuse(embedding, first)}
        vectors |= {"pc_img_mv": model.fuse(embedding, views)}
    scores = {f"logits_{name}": cosine_scores(vector, words) for name, vector in vectors.items()}
    return scores | {"logits_merge": scores["logits_pc"] + scores["logits_img_mv"]}


def batch_of(case: Case) -> torch.Tensor:
    """Return the clouds of a case with their colours, (B, N, 6)."""
    if "features" in case.arrays:
        return case.tensor("features")
    return torch.cat([case.tensor("points"), case.tensor("features_rgb")], 2)

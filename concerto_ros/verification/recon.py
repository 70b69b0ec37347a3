# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Reference cases of ReCon, distinguished by the class of the reference that made them."""

from __future__ import annotations

import torch

from concerto_ros.learning.objects.pretraining import recon_network
from concerto_ros.learning.objects.training import recon_parts
from concerto_ros.objects.encoders.recon import encoder as recon
from concerto_ros.objects.encoders.shared import clip
from concerto_ros.objects.encoders.shared.sampling import gather_rows, nearest_neighbours
from concerto_ros.verification.cases import Case
from concerto_ros.words.vocabulary import cosine_scores

INPUTS = frozenset(
    {"points", "mask", "teacher_img_feature", "teacher_text_feature", "class_text_features"}
    | {"category", "images", "tokens"}
)

Outputs = dict[str, torch.Tensor]


def run_case(case: Case) -> Outputs:
    """Compute the outputs of one case.

    Raises:
        ValueError: If the class that made the case is unknown.
    """
    made_by = case.meta["upstream_class"]
    for name, runner in RUNNERS.items():
        # The name of the class is its last part, and a remark may follow. RUNNERS is searched in
        # order, since one name is the beginning of another.
        if made_by.split(" ")[0].endswith(name):
            return runner(case)
    raise ValueError(f"upstream_class is {made_by!r}, expected one of {', '.join(RUNNERS)}")


def _classification(case: Case) -> Outputs:
    model = load_case(case)
    trunk, points = model.trunk, case.tensor("points")
    patches = trunk.group(points)
    tokens = trunk.encoder(patches.relative)
    first = next(trunk.states(tokens, patches.centres))
    world, normed = trunk.encode(tokens, patches.centres)
    return {
        "fps_idx": patches.rows,
        "patch_tokens": tokens,
        "block0_out": torch.cat(first, 1),
        "tokens_normed": torch.cat([world, normed], 1),
        "feature": model.class_feature(world, normed),
        "logits": model.classify(points),
    }


def _zero_shot(case: Case) -> Outputs:
    model, points = load_case(case), case.tensor("points")
    image, text = model.word_features(model.trunk(points)[0])
    feature = model.embed_words(points, text_ratio=case.meta["ratio"])
    cosine = cosine_scores(feature, case.tensor("class_text_features"))
    assert image is not None  # the reference has both teachers
    return {
        "image_feature": image,
        "text_feature": text,
        "feature": feature,
        "cosine": cosine,
        "pred": cosine.argmax(1),
    }


def _svm(case: Case) -> Outputs:
    return {"feature": load_case(case).embed(case.tensor("points"))}


def _pretraining(case: Case) -> Outputs:
    config = case.config
    model = recon_network.from_state(
        case.state(), case.weights, groups=config["num_group"], heads=config["num_heads"]
    )
    model = model.to(case.device).eval()
    points = case.tensor("points")
    result: recon_network.Reconstruction = model(points, case.tensor("mask"))
    assert result.image is not None and result.text is not None  # the reference has both
    losses = result.losses(case.tensor("teacher_img_feature"), case.tensor("teacher_text_feature"))
    true = next(case.tensor(name) for name in case.arrays if name.startswith("gt_points"))
    return {
        "fps_idx": model.MAE_encoder.group(points).rows,
        "cls_token_out": result.world[:, 0],
        "img_token_out": result.world[:, 1],
        "text_token_out": result.world[:, 2],
        "visible_tokens_out": result.visible,
        "rec_points": result.rebuilt,
        "gt_points": _ordered_like(result.true[: len(true)], true),
        "img_pred": result.image,
        "text_pred": result.text,
        "loss_mdm": losses["reconstruction"],
        "loss_csc_img": losses["image"],
        "loss_csc_text": losses["text"],
        "loss_total": losses["reconstruction"] + losses["image"] + losses["text"],
    }


def _parts(case: Case) -> Outputs:
    config = case.config
    model = recon_parts.from_state(
        case.state(),
        case.weights,
        heads=config["num_heads"],
        groups=config["num_group"],
        group_size=config["group_size"],
    )
    model = model.to(case.device).eval()
    points = case.tensor("points")
    feat = model.head_input(points, case.tensor("category"))
    log_probability = model.head(feat)
    return {
        "fps_idx": model.trunk.group(points).rows,
        "propagated": feat[:, : model.propagation_0.mlp_convs[1].out_channels],
        "head_input": feat,
        "log_probs": log_probability,
        "log_probs_mean_per_part": log_probability.mean(1),
        "pred": log_probability.argmax(2),
    }


def _clip(case: Case) -> Outputs:
    model = clip.from_state(case.state(), case.weights).to(case.device)
    return {
        "image_feature": model.encode_image(case.tensor("images")),
        "text_feature": model.encode_text(case.tensor("tokens")),
    }


def _ordered_like(found: torch.Tensor, expected: torch.Tensor) -> torch.Tensor:
    """Order groups of points (S, M, 3) as ``expected``: neighbours come in arbitrary order."""
    nearest = nearest_neighbours(expected, found, 1).squeeze(-1)
    return gather_rows(found, nearest)


def batch_of(case: Case) -> torch.Tensor:
    """Return the clouds of a case, (B, N, 3)."""
    return case.tensor("points")


def load_case(case: Case) -> recon.ReCon:
    """Load the model of a case of classification, words or the linear SVM."""
    config = case.config
    model = recon.from_state(
        case.state(),
        case.weights,
        heads=config["num_heads"],
        groups=config["num_group"],
        group_size=config["group_size"],
        points=case.meta["n_points"],
    )
    return model.to(case.device).eval()


RUNNERS = {
    "PointTransformerZeroShot": _zero_shot,
    "PointTransformerSVM": _svm,
    "PointTransformer": _classification,
    "ReCon.ReCon": _pretraining,
    "segmentation/models/pt.py": _parts,
    "clip.model.CLIP": _clip,
}

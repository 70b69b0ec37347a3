# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""ReCon against the reference, and how its published files are read and built upon."""

from __future__ import annotations

import json
from pathlib import Path

import paths
import pytest
import torch

from concerto_ros.learning.objects.pretraining.masks import random_mask
from concerto_ros.learning.objects.pretraining.recon_network import from_state
from concerto_ros.learning.objects.training.augment import (
    random_rotation,
    random_scale,
    random_scale_and_shift,
)
from concerto_ros.learning.objects.training.recon_parts import load_recon_parts
from concerto_ros.learning.objects.training.view_voting import vote
from concerto_ros.objects import load_object_encoder
from concerto_ros.ptv3.checkpoint import CheckpointError
from concerto_ros.verification.cases import Case
from concerto_ros.verification.generated_weights import recipe_state
from concerto_ros.words.prompts import prompts
from concerto_ros.words.vocabulary import class_vectors, cosine_scores

GOLDEN = paths.GOLDEN / "objects" / "recon"
META = json.loads((GOLDEN / "meta.json").read_text())["cases"]
DEVICES = ["cpu"] + ["cuda"] * torch.cuda.is_available()


def golden(name: str, device: str = "cpu") -> Case:
    return Case(GOLDEN, "recon", name, META[name], torch.device(device))


def options(case: Case) -> dict:
    return {
        "heads": case.config["num_heads"],
        "groups": case.config["num_group"],
        "group_size": case.config["group_size"],
    }


def load(tmp_path: Path, name: str, change=lambda state: state, wrap=None, **more):
    """The encoder of a case, through a file in the wrapping of the official ones."""
    case = golden(name)
    content = (wrap or (lambda state: {"base_model": state, "epoch": 300}))(change(case.state()))
    torch.save(content, tmp_path / "file.pth")
    return load_object_encoder(tmp_path / "file.pth", **(options(case) | more)), case


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"base_model": state, "optimizer": {}, "epoch": 3, "metrics": {"acc": 0.9}},
        lambda state: {"base_model": {f"module.{name}": v for name, v in state.items()}},
        lambda state: {"model": state},
        lambda state: {f"base_model.{name}": value for name, value in state.items()},
        lambda state: state,
    ],
)
def test_every_published_wrapping_is_read(tmp_path, wrap):
    encoder, case = load(tmp_path, "cls_small", wrap=wrap)
    points = case.tensor("points")
    found = encoder.classify(points)
    torch.testing.assert_close(found, case.tensor("logits"), atol=1e-4, rtol=1e-3)
    assert encoder.feature_channels == encoder.embed(points).shape[1] == 128


def test_a_fine_tuned_file_tells_its_classes_and_its_form(tmp_path):
    encoder, _ = load(tmp_path, "cls_small", groups=None, group_size=32)
    assert (encoder.name, encoder.classes, encoder.per_object) == ("recon", 15, True)
    assert (encoder.points, encoder.trunk.shape.groups) == (2048, 128)
    encoder, _ = load(tmp_path, "cls_small_near_origin", groups=None, group_size=32)
    assert encoder.classes == 40
    assert (encoder.points, encoder.trunk.shape.groups) == (1024, 64)


def test_a_pre_training_file_gives_an_encoder_without_head(tmp_path):
    encoder, case = load(tmp_path, "pretrain_small_svm")
    points = case.tensor("points")
    found = encoder.embed(points)
    torch.testing.assert_close(found, case.tensor("feature"), atol=1e-4, rtol=1e-3)
    assert encoder.classes is None and encoder.feature_channels == found.shape[1] == 48
    with pytest.raises(ValueError, match="no head"):
        encoder.classify(points)


def test_words_need_projections(tmp_path):
    encoder, case = load(tmp_path, "cls_small")
    with pytest.raises(ValueError, match="no projections"):
        encoder.embed_words(case.tensor("points"))


def test_a_file_whose_teachers_have_different_widths_compares_words_by_its_text_token(tmp_path):
    def wider(state):
        more = {"img_proj.weight": torch.randn(24, 24), "img_proj.bias": torch.zeros(24)}
        return state | more

    encoder, case = load(tmp_path, "pretrain_small_zeroshot", wider)
    points = case.tensor("points")
    assert encoder.knows_words
    found = encoder.embed_words(points)
    torch.testing.assert_close(found, case.tensor("text_feature"), atol=1e-4, rtol=1e-3)

    def without(*names):
        return lambda state: {n: v for n, v in state.items() if not n.startswith(names)}

    encoder, _ = load(tmp_path, "pretrain_small_zeroshot", without("img_proj."))
    torch.testing.assert_close(encoder.embed_words(points), found)
    encoder, _ = load(tmp_path, "pretrain_small_zeroshot", without("text_proj."))
    assert not encoder.knows_words
    with pytest.raises(ValueError, match="no projections to the space of texts"):
        encoder.embed_words(points)


def self_contrastive(state):
    """The file of a pre-training with ``self_contrastive``."""
    sizes = {"0": (128, 24), "3": (128, 128)}
    more = {f"cls_proj.{n}.weight": torch.randn(size) for n, size in sizes.items()}
    more |= {f"cls_proj.{n}.bias": torch.randn(128) for n in sizes}
    for number in (1, 4):
        norm = torch.nn.BatchNorm1d(128).state_dict()
        more |= {f"cls_proj.{number}.{name}": value for name, value in norm.items()}
    return state | more


def test_a_file_with_self_contrast_gives_the_same_encoder(tmp_path):
    encoder, case = load(tmp_path, "pretrain_small_svm", self_contrastive)
    found = encoder.embed(case.tensor("points"))
    torch.testing.assert_close(found, case.tensor("feature"), atol=1e-4, rtol=1e-3)
    state = self_contrastive(golden("pretrain_small").state())
    model = from_state(state, GOLDEN, groups=20, heads=2).eval()
    assert torch.equal(model.state_dict()["cls_proj.3.weight"], state["cls_proj.3.weight"])
    mask = golden("pretrain_small").tensor("mask")
    assert model(case.tensor("points"), mask).own.shape == (2, 128)


def test_a_form_that_is_not_published_is_stored_and_one_that_makes_no_sense_refused(tmp_path):
    encoder, case = load(tmp_path, "cls_small", points=256)
    facts = encoder.stored_facts()
    assert facts == {"form": options(case) | {"points": 256}}
    path = tmp_path / "kept.pth"
    torch.save({"base_model": case.state(), **facts}, path)
    kept = load_object_encoder(path)
    points = case.tensor("points")
    assert torch.equal(kept.classify(points), encoder.classify(points)) and kept.points == 256
    for form in ({"heads": 2}, {**facts["form"], "groups": 0}, 3):
        torch.save({"base_model": case.state(), "form": form}, path)
        with pytest.raises(CheckpointError, match=r"kept\.pth: .*'form' is .*, expected"):
            load_object_encoder(path)


@pytest.mark.parametrize(
    ("given", "groups"),
    [
        ({"points": 8192}, 512),
        ({"points": 2048}, 128),
        ({"points": 1024}, 64),
        ({}, 64),
        ({"points": 2048, "group_size": 64}, 64),
        ({"points": 2048, "group_size": 128}, 32),
        ({"points": 8192, "groups": 64}, 64),
    ],
)
def test_groups_grow_with_points_as_published(tmp_path, given, groups):
    form = {"groups": None, "group_size": 32} | given
    encoder, _ = load(tmp_path, "cls_small_near_origin", **form)
    assert (encoder.points, encoder.trunk.shape.groups) == (given.get("points", 1024), groups)


def test_words_are_scored_by_their_cosine(tmp_path):
    encoder, case = load(tmp_path, "pretrain_small_zeroshot")
    feature = encoder.embed_words(case.tensor("points"), text_ratio=case.meta["ratio"])
    scores = cosine_scores(feature, case.tensor("class_text_features"))
    torch.testing.assert_close(scores, case.tensor("cosine"), atol=1e-4, rtol=1e-3)


def test_sixty_prompts_in_the_published_order():
    sentences = prompts("night_stand")
    assert len(sentences) == len(set(sentences)) == 60
    assert sentences[:4] == [
        "night_stand.",
        "A night_stand.",
        "A model of night_stand.",
        "A model of a night_stand.",
    ]
    assert sentences[18] == "A 3D rendering image of night_stand."
    assert sentences[20] == "night_stand with white background."
    assert sentences[21] == "A night_stand with white background."
    assert sentences[59] == "A 3D rendering image of a night_stand with black context."


def test_a_class_is_the_plain_sum_of_its_prompts():
    features = torch.tensor([[[1.0, 0], [3, 4]], [[0, 1], [0, 2]]])
    assert class_vectors(features).tolist() == [[4, 4], [0, 3]]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda s: {n: v for n, v in s.items() if n != "trunk.norm.bias" and n != "norm.bias"},
            "missing: trunk.norm.bias",
        ),
        (lambda s: s | {"more.weight": torch.zeros(2)}, "unexpected: trunk.more.weight"),
        (lambda s: s | {"img_pos": torch.zeros(1, 1, 3)}, "wrong shape: trunk.img_pos"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, change, words):
    with pytest.raises(CheckpointError, match=words):
        load(tmp_path, "cls_small", change)


def test_coincident_points_give_finite_answers(tmp_path):
    encoder, _ = load(tmp_path, "cls_small")
    points = torch.rand(1, 20, 3, generator=torch.Generator().manual_seed(0)).repeat(1, 13, 1)
    assert encoder.classify(points).isfinite().all()


def test_a_vote_is_the_mean_over_passes_that_draw_again(tmp_path):
    encoder, case = load(tmp_path, "cls_small", points=200)
    points = case.tensor("points")
    generator = torch.Generator().manual_seed(0)
    passes = [vote(encoder, points, generator, passes=1) for _ in range(2)]
    both = vote(encoder, points, torch.Generator().manual_seed(0), passes=2)
    assert not torch.equal(*passes)
    torch.testing.assert_close(both, sum(passes) / 2)
    turned = vote(
        encoder,
        points,
        torch.Generator().manual_seed(0),
        augmentation=random_rotation,
        passes=1,
    )
    assert turned.shape == (2, 15) and not torch.allclose(turned, passes[0], atol=1e-3)


def test_a_vote_needs_as_many_points_as_the_encoder_takes(tmp_path):
    encoder, case = load(tmp_path, "cls_small", points=300)
    with pytest.raises(ValueError, match="256 points, expected at least 300"):
        vote(encoder, case.tensor("points"), torch.Generator())


def test_changes_of_a_vote_stay_within_their_bounds():
    points = torch.rand(50, 30, 3, generator=torch.Generator().manual_seed(0)) + 0.5
    generator = torch.Generator().manual_seed(1)
    turned = random_rotation(points, generator)
    torch.testing.assert_close(turned.norm(dim=-1), points.norm(dim=-1))
    torch.testing.assert_close(turned[..., 1], points[..., 1])
    ratio = random_scale(points, generator) / points
    assert ratio.amin() >= 2 / 3 - 1e-5 and ratio.amax() <= 1.5 + 1e-5
    moved = random_scale_and_shift(torch.zeros(50, 4, 3), generator)
    assert 0.15 < moved.abs().amax() <= 0.2


def test_a_new_head_learns_and_is_written_as_published(tmp_path):
    encoder, case = load(tmp_path, "pretrain_small")
    encoder.add_head(3)
    encoder.requires_grad_(True).train()
    encoder.classify(case.tensor("points")).sum().backward()
    assert encoder.trunk.encoder.first_conv[0].weight.grad.abs().sum() > 0
    encoder.eval()
    torch.save({"base_model": encoder.published_state()}, tmp_path / "tuned.pth")
    again = load_object_encoder(tmp_path / "tuned.pth", **options(case))
    points = case.tensor("points")
    assert torch.equal(again.classify(points), encoder.classify(points))


def test_parts_are_read_from_a_published_file(tmp_path):
    case = golden("partseg_small")
    torch.save({"model_state_dict": case.state(), "class_avg_iou": 0.8}, tmp_path / "parts.pth")
    model = load_recon_parts(tmp_path / "parts.pth", **options(case))
    found = model(case.tensor("points"), case.tensor("category"))
    torch.testing.assert_close(found, case.tensor("log_probs"), atol=5e-4, rtol=1e-3)
    with pytest.raises(CheckpointError, match="segments parts"):
        load_object_encoder(tmp_path / "parts.pth")


def test_a_file_without_parts_is_refused(tmp_path):
    torch.save(golden("cls_small").state(), tmp_path / "classes.pth")
    with pytest.raises(CheckpointError, match="not a part segmentation"):
        load_recon_parts(tmp_path / "classes.pth")


def test_pre_training_learns_to_fill_in():
    case = golden("pretrain_small")
    model = from_state(case.state(), GOLDEN, groups=20, heads=2).train()
    mask = random_mask(2, 20, 0.6, torch.Generator().manual_seed(0))
    assert mask.sum(1).tolist() == [12, 12]
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    teacher = case.tensor("teacher_img_feature"), case.tensor("teacher_text_feature")
    losses = []
    for _ in range(12):
        loss = sum(model(case.tensor("points"), mask).losses(*teacher).values())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_the_recipe_depends_on_name_shape_and_seed_alone():
    shapes = {"a.weight": [4, 3], "b.weight": [4, 3], "b.running_var": [5]}
    first, again = recipe_state(shapes, 1), recipe_state(dict(reversed(shapes.items())), 1)
    assert all(torch.equal(first[name], again[name]) for name in shapes)
    assert not torch.equal(first["a.weight"], first["b.weight"])
    assert not torch.equal(first["a.weight"], recipe_state(shapes, 2)["a.weight"])
    assert (first["b.running_var"] >= 0.5).all()

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""MixCon3D and OpenShape: reference outputs, words and views, files of weights."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import paths
import pytest
import torch

from concerto_ros.objects import load_object_encoder
from concerto_ros.objects.encoders.mixcon3d.encoder import BALLS, MixCon3D
from concerto_ros.objects.encoders.mixcon3d.network import Balls, PointPatchTransformer, Sizes
from concerto_ros.ptv3.checkpoint import CheckpointError
from concerto_ros.verification.cases import Case
from concerto_ros.verification.mixcon3d import batch_of, load_case

GOLDEN = paths.GOLDEN / "objects" / "mixcon3d"
CASES = json.loads((GOLDEN / "meta.json").read_text())["cases"]
PUBLISHED = GOLDEN / "eps_probe.pt"
SMALL = Balls(24, 0.35, 16)


def a_case(name: str) -> Case:
    return Case(GOLDEN, "mixcon3d", name, CASES[name], torch.device("cpu"))


@cache
def small(name: str) -> tuple[MixCon3D, torch.Tensor]:
    """A reference model and its clouds."""
    case = a_case(name)
    return load_case(case).requires_grad_(False), batch_of(case)


@pytest.fixture
def content() -> dict:
    """What is in a file of MixCon3D."""
    return torch.load(PUBLISHED, weights_only=True)


def save(folder: Path, content: dict) -> Path:
    path = folder / "model.pt"
    torch.save(content, path)
    return path


def test_tokens_are_the_greatest_of_their_balls():
    """Set abstraction against float64 with one loop over the balls."""
    model, clouds = small("encoder_small")
    exact = load_case(a_case("encoder_small")).double().requires_grad_(False).ppat
    trace = model.ppat.trace(clouds)
    cloud = clouds[0].double()
    layers = list(zip(exact.sa["mlp_convs"], exact.sa["mlp_bns"], strict=True))
    for row, found in zip(trace.rows[0], trace.balls[0], strict=True):
        centre = cloud[row, :3]
        inside = ((cloud[:, :3] - centre) ** 2).sum(1) <= exact.balls.radius**2
        members = inside.nonzero().flatten()[: exact.balls.points]
        feat = torch.cat([cloud[members, :3] - centre, cloud[members]], 1)
        for layer, norm in layers:
            feat = feat @ layer.weight[:, :, 0, 0].T + layer.bias
            scale = norm.weight / (norm.running_var + norm.eps).sqrt()
            feat = ((feat - norm.running_mean) * scale + norm.bias).relu()
        torch.testing.assert_close(found.double(), feat.amax(0), rtol=1e-5, atol=1e-5)


def test_colour_counts():
    model, clouds = small("encoder_small")
    gray = clouds.clone()
    gray[..., 3:] = 0.4
    assert (model.embed(gray) - model.embed(clouds)).abs().max() > 1e-2


def test_running_averages_are_preferred_to_live_weights():
    expected = a_case("eps_probe").arrays
    batch = batch_of(a_case("eps_probe"))
    for options, name in (
        ({}, "embedding"),
        ({"weights": "ema"}, "embedding"),
        ({"weights": "live"}, "embedding_live_weights"),
    ):
        model = load_object_encoder(PUBLISHED, balls=SMALL, points=256, **options)
        assert isinstance(model, MixCon3D) and model.name == "mixcon3d"
        np.testing.assert_allclose(model.embed(batch), expected[name], rtol=1e-3, atol=1e-4)
        assert not model.training and not any(p.requires_grad for p in model.parameters())


def test_a_file_of_openshape_needs_no_projections(tmp_path, content):
    inner = content["state_dict"]
    assert all(name.startswith("module.") for name in inner)
    path = save(tmp_path, {"state_dict": inner, "epoch": 4, "step": 2})
    model = load_object_encoder(path, balls=SMALL)
    expected = load_object_encoder(PUBLISHED, balls=SMALL, weights="live")
    batch = batch_of(a_case("eps_probe"))
    assert torch.equal(model.embed(batch), expected.embed(batch))
    texts = torch.ones(4, 32)
    assert torch.equal(model.project_words(texts), texts)
    with pytest.raises(ValueError, match="no pc_img_proj; expected one of MixCon3D"):
        model.fuse(texts, texts)
    with pytest.raises(CheckpointError, match="has no 'state_dict_ema'"):
        load_object_encoder(path, balls=SMALL, weights="ema")


def test_leftovers_outside_the_wrapping_are_no_part_of_the_model(tmp_path, content):
    inner = content["state_dict"] | {"logit_scale": torch.tensor(2.6)}
    model = load_object_encoder(save(tmp_path, {"state_dict": inner}), balls=SMALL)
    assert "logit_scale" not in model.state_dict()


def test_views_are_averaged_and_projected_like_words():
    case = a_case("encoder_small")
    model, _ = small("encoder_small")
    images = case.tensor("image_features")
    together = model.project_views(images)
    one_by_one = torch.stack([model.project_words(images[:, view]) for view in range(4)])
    torch.testing.assert_close(together, one_by_one.mean(0))
    assert together.shape == (2, 32)


def test_what_does_not_fit_is_named(tmp_path, content):
    def refusal(change) -> str:
        changed = content | {"state_dict_ema": dict(content["state_dict_ema"])}
        change(changed)
        with pytest.raises(CheckpointError) as error:
            load_object_encoder(save(tmp_path, changed), balls=SMALL)
        return str(error.value)

    def inner(change):
        return refusal(lambda changed: change(changed["state_dict_ema"]))

    assert "missing: ppat.lift.2.bias" in inner(lambda state: state.pop("ppat.lift.2.bias"))
    assert "missing: 'proj.weight'" in inner(lambda state: state.pop("proj.weight"))
    assert "unexpected: surplus" in inner(lambda state: state.update(surplus=torch.zeros(1)))
    wrong = inner(lambda state: state.update({"ppat.lift.0.bias": torch.zeros(3)}))
    assert "wrong shape: ppat.lift.0.bias (3,) instead of (64,)" in wrong
    gone = refusal(lambda changed: changed.pop("pc_img_proj"))
    assert "missing: pc_img_proj.bias, pc_img_proj.weight" in gone


def test_a_checkpoint_of_another_model_is_named():
    with pytest.raises(
        CheckpointError, match="is a checkpoint of mixcon3d, expected one of recon"
    ):
        load_object_encoder(PUBLISHED, "recon")


def test_options_are_checked():
    with pytest.raises(ValueError, match="weights is 'best', expected one of live, ema"):
        load_object_encoder(PUBLISHED, balls=SMALL, weights="best")
    with pytest.raises(CheckpointError, match="no grouping is published: pass balls"):
        load_object_encoder(PUBLISHED)


@pytest.mark.parametrize(
    ("sizes", "heads", "millions"),
    [(Sizes(512, 12, 1024, 128), 8, 25.95), (Sizes(512, 12, 1536, 256), 8, 32.33)],
)
def test_sizes_of_the_published_models(sizes, heads, millions):
    with torch.device("meta"):
        encoder = PointPatchTransformer(sizes, BALLS[sizes], heads, 64)
        model = MixCon3D(encoder, sizes.width, 1280, 10000)
    parameters = sum(value.numel() for value in model.parameters())
    assert parameters / 1e6 == pytest.approx(millions, abs=0.005)
    assert Sizes.of_state(model.state_dict()) == sizes
    assert model.points == 10000 and model.feature_channels == 1280 and model.classes is None


def test_there_are_words_instead_of_a_head():
    model, clouds = small("encoder_small")
    with pytest.raises(ValueError, match="no head; compare its vectors with those of words"):
        model.classify(clouds)


def test_three_points_have_a_finite_answer():
    model, clouds = small("encoder_small")
    assert model.embed(clouds[:, :3]).isfinite().all()


def test_clouds_without_colour_are_refused():
    model, clouds = small("encoder_small")
    with pytest.raises(ValueError, match=r"batch has shape \(2, 400, 3\), expected \(B, N, 6\)"):
        model.embed(clouds[..., :3])


@pytest.mark.parametrize("coloured", [False, True])
def test_a_robots_object_gets_a_vector(coloured):
    model, _ = small("encoder_small")
    rng = np.random.default_rng(0)
    mug = rng.normal(size=(90, 3)) * [0.04, 0.04, 0.06] + [12.0, -3.0, 0.8]
    colors = rng.integers(0, 256, (90, 3), dtype=np.uint8) if coloured else None
    batch = model.prepare(mug, colors).unsqueeze(0)
    assert batch.shape == (1, model.points, 6)
    assert coloured == bool((batch[..., 3:] != 0.4).any())
    assert model.embed(batch).shape == (1, 32)


def test_a_robots_object_is_the_same_in_every_unit_of_colours():
    model, _ = small("encoder_small")
    rng = np.random.default_rng(0)
    mug = rng.normal(size=(90, 3)) * [0.04, 0.04, 0.06]
    colors = rng.integers(0, 256, (90, 3), dtype=np.uint8)
    colors[0] = 255
    wanted = model.prepare(mug, colors)
    for other in (colors / 255, colors.astype(np.uint16) * 257, np.c_[colors, colors[:, 0]]):
        assert torch.equal(model.prepare(torch.from_numpy(mug), other), wanted)
    with pytest.raises(ValueError, match=r"points: got shape \(3, 90\).*transposed"):
        model.prepare(mug.T, colors)
    with pytest.raises(ValueError, match=r"colors: got shape \(9, 3\), expected \(90, 3\)"):
        model.prepare(mug, colors[:9])

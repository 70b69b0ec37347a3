# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Loading an object encoder and preparing an object: what is right, and what is refused how."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from paths import GOLDEN

from concerto_ros.objects import load_object_encoder
from concerto_ros.objects.encoders.shared.preprocess import InputForm, prepare_object, unit_sphere
from concerto_ros.verification.generated_weights import recipe_state

MUG = np.random.default_rng(0).normal(size=(500, 3)) * [0.04, 0.04, 0.06]
FORM = InputForm(points=128)
COLORED = InputForm(points=128, color=True, swapped=True, farthest=False)


def recon_state() -> dict[str, torch.Tensor]:
    names = (GOLDEN / "objects" / "recon" / "cls_small_keys.json").read_text()
    return recipe_state(json.loads(names), 11)


def saved(tmp_path: Path, content) -> Path:
    torch.save(content, tmp_path / "file.pth")
    return tmp_path / "file.pth"


def test_the_model_is_told_by_the_names_in_the_file(tmp_path):
    path = saved(tmp_path, {"base_model": recon_state()})
    encoder = load_object_encoder(path, heads=2, groups=24, points=256)
    assert encoder.name == "recon"
    assert not encoder.training
    assert not any(parameter.requires_grad for parameter in encoder.parameters())
    batch = torch.stack([encoder.prepare(MUG), encoder.prepare(MUG + 3)])
    torch.testing.assert_close(*encoder.classify(batch), rtol=1e-3, atol=1e-3)


def test_a_checkpoint_of_another_model_is_named(tmp_path):
    path = saved(tmp_path, recon_state())
    with pytest.raises(ValueError, match="is a checkpoint of recon, expected one of i2p_mae"):
        load_object_encoder(path, "i2p_mae")


def test_a_checkpoint_of_no_object_encoder_is_refused():
    with pytest.raises(
        ValueError, match=r"of an unknown model, expected one of recon, .*embedding"
    ):
        load_object_encoder(GOLDEN / "ptv3" / "tiny_cloud" / "encoder.pth")


def test_an_unknown_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match="model is 'pointnet', expected one of recon"):
        load_object_encoder(tmp_path / "any.pth", "pointnet")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"not a checkpoint", "damaged"),
        (b"", "damaged"),
        (b"\x80\x02.", "damaged"),
        (None, "is not a file"),
    ],
)
def test_a_damaged_or_absent_file_is_refused(tmp_path, content, words):
    path = tmp_path / "file.pth"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=words):
        load_object_encoder(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([torch.zeros(2)], "holds a list"),
        ({"epoch": 3, "metrics": {}}, "no weights.*epoch, metrics"),
        ({"base_model": {}}, "no weights"),
    ],
)
def test_a_file_without_weights_is_refused(tmp_path, content, words):
    with pytest.raises(ValueError, match=words):
        load_object_encoder(saved(tmp_path, content))


def test_a_file_that_would_run_code_is_refused(tmp_path):
    class Trap:
        def __reduce__(self):
            return print, ("trapped",)

    with pytest.raises(ValueError, match="more than tensors"):
        load_object_encoder(saved(tmp_path, {"base_model": Trap()}))


@pytest.mark.parametrize("points", [20, 128, 500])
def test_an_object_becomes_a_fixed_number_of_points_of_unit_size(points):
    cloud = prepare_object(MUG[:points], None, FORM)
    assert cloud.shape == (128, 3) and cloud.dtype == torch.float32
    assert cloud.norm(dim=1).amax() == pytest.approx(1, abs=0.05)
    assert cloud.norm(dim=1).amax() <= 1 + 1e-6


@pytest.mark.parametrize("form", [FORM, COLORED])
def test_place_and_size_do_not_matter_but_the_way_up_does(form):
    here = prepare_object(MUG, None, form)
    torch.testing.assert_close(
        prepare_object(MUG + [4e3, -7e3, 20], None, form), here, atol=1e-5, rtol=0
    )
    torch.testing.assert_close(prepare_object(MUG * 30, None, form), here, atol=1e-5, rtol=0)
    assert not torch.allclose(prepare_object(MUG[:, [2, 1, 0]], None, form), here, atol=0.1)


def test_up_is_y_without_mirroring():
    points = np.vstack([np.eye(3) * 2, MUG[:20] * 1e-3])
    cloud = prepare_object(points, None, InputForm(points=len(points)))
    forward, left, up = cloud[:3] - cloud[3:].mean(0)
    torch.testing.assert_close(up / up.norm(), torch.tensor([0.0, 1, 0]), atol=1e-3, rtol=0)
    torch.testing.assert_close(
        torch.linalg.cross(forward, left) / forward.norm() / left.norm(),
        up / up.norm(),
        atol=1e-2,
        rtol=0,
    )


def test_few_points_come_again_in_turn():
    cloud = prepare_object(MUG[:50], None, FORM)
    assert torch.equal(cloud[:50], cloud[50:100])
    assert len(cloud.unique(dim=0)) == 50


@pytest.mark.parametrize("form", [FORM, COLORED])
def test_many_points_are_thinned_out_always_alike(form):
    first, second = (prepare_object(MUG, None, form) for _ in range(2))
    assert torch.equal(first, second)
    assert len(first.unique(dim=0)) == 128


def test_colours_follow_their_points():
    colors = np.clip((MUG / MUG.max(0) + 1) * 100, 0, 255).astype(np.uint8)
    cloud = prepare_object(MUG, colors, InputForm(points=500, color=True))
    torch.testing.assert_close(cloud[:, 3:], torch.from_numpy(colors).float() / 255)
    assert (prepare_object(MUG, None, COLORED)[:, 3:] == 0.4).all()
    assert prepare_object(MUG, colors, FORM).shape == (128, 3)


@pytest.mark.parametrize(
    ("points", "words"),
    [
        (MUG[:3], "3 distinct points, expected at least 16"),
        (np.zeros((0, 3)), "0 distinct points"),
        (np.repeat(MUG[:5], 40, 0), "5 distinct points"),
        (np.full((200, 3), 1.5), "all 200 coincide"),
        (np.vstack([MUG, [[np.nan, 0, 0]]]), "1 of 501 are not finite"),
        (np.vstack([MUG, [[0, 0, np.inf]]]), "1 of 501 are not finite"),
        (MUG[:, :2], r"shape \(500, 2\), expected \(N, 3\)"),
    ],
)
@pytest.mark.parametrize("form", [FORM, COLORED])
def test_what_is_no_object_is_refused(points, words, form):
    with pytest.raises(ValueError, match=words):
        prepare_object(points, None, form)


def test_colours_of_another_number_are_refused():
    with pytest.raises(ValueError, match=r"colors have shape \(9, 3\), expected \(500, 3\)"):
        prepare_object(MUG, np.zeros((9, 3)), COLORED)


def test_points_that_coincide_have_no_size():
    assert (unit_sphere(torch.ones(4, 3)) == 0).all()

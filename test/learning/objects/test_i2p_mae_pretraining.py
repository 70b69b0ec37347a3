# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pre-training of I2P-MAE by command: what it writes, how it resumes, and what it refuses."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from shape_folders import write_shapenet55
from small_objects import tiny_i2p_mae, toys

from concerto_ros.cli import main
from concerto_ros.learning.images.image_models import load_image_model
from concerto_ros.learning.objects.data.shape_set import ObjectShapes
from concerto_ros.learning.objects.pretraining.i2p_mae.guides import ImageGuide
from concerto_ros.learning.objects.pretraining.i2p_mae.network import DecoderShape
from concerto_ros.learning.objects.pretraining.i2p_mae.recipe import (
    PRESETS,
    PUBLISHED,
    SMALL,
)
from concerto_ros.learning.objects.pretraining.i2p_mae.run import (
    encoder_in,
    new_model,
    pretrain_i2p_mae,
)
from concerto_ros.learning.objects.training.models import save_object_encoder
from concerto_ros.learning.objects.training.training_run import RunOptions
from concerto_ros.objects import load_object_encoder
from concerto_ros.objects.encoders.i2p_mae.network import Grouping, Widths

#: The small preset with fewer and narrower blocks; and the same on one level.
TINY = tiny_i2p_mae(replace(SMALL.training.shortened(2), batch_size=6))
ONE_LEVEL = replace(
    TINY,
    widths=Widths((12,), (2,), 6),
    grouping=Grouping((8,), (6,), (0.0,)),
    decoder=DecoderShape((12,), (1,), ()),
)


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(PRESETS, "i2p_mae_small", TINY)
    monkeypatch.setitem(PRESETS, "i2p_mae_single_scale", ONE_LEVEL)


@pytest.fixture
def folder(tmp_path):
    write_shapenet55(tmp_path / "shapes", pictures=False)
    return tmp_path


def command(folder, *more: str, preset: str = "i2p_mae_small") -> list[str]:
    start = ["objects", "pretrain", "i2p-mae", str(folder / "shapes"), "--layout", "shapenet55"]
    return [*start, "--out", str(folder / "out"), "--preset", preset, "--device", "cpu", *more]


def weights(path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=True)["base_model"]


def pretrained(recipe=TINY, guide="hog", folder=None):
    """A model after its run on a few toys."""
    guide = guide and ImageGuide(load_image_model(guide))
    model = new_model(recipe, guide)
    options = RunOptions(folder=folder)
    shapes = ObjectShapes("toys", toys(3))
    return model, pretrain_i2p_mae(model, shapes, guide, recipe, options)


def test_the_command_writes_both_weights_and_a_report_and_others_use_the_encoder(folder, capsys):
    assert main(command(folder, "--guide", "hog")) == 0
    assert "12 shapes of ShapeNet55, train" in capsys.readouterr().out
    out = folder / "out"
    assert "| epoch | loss | points | features | score |" in (out / "report.md").read_text()
    for name in ("pretrained.pth", "pretrained_best.pth"):
        encoder = load_object_encoder(out / name)
        assert encoder.h_encoder.grouping == TINY.grouping and encoder.points == 64
        assert encoder.embed(torch.rand(2, 64, 3)).shape == (2, 12)
    # Four members of a group, three views, and as many channels as the image model has.
    assert weights(out / "pretrained.pth")["rec_head_2d.weight"].shape == (4 * 3 * 9, 12, 1)
    assert any(path.name.startswith("events.out.tfevents") for path in out.iterdir())


def test_features_are_written_once_and_then_read(folder):
    features = str(folder / "features")
    assert main(command(folder, "--guide", "hog", "--write-features", features)) == 0
    assert len(list((folder / "features").iterdir())) == 18  # of both lists
    assert not (folder / "out").exists()
    assert main(command(folder, "--guide", f"files:{features}")) == 0


def test_a_run_that_was_killed_resumes_as_if_it_had_not_been(tmp_path, monkeypatch):
    whole, _ = pretrained()
    from concerto_ros.learning.objects.training import training_run

    save, saved = training_run.save_training, []

    def killed(path, state):
        save(path, state)
        saved.append(path)
        raise KeyboardInterrupt

    monkeypatch.setattr(training_run, "save_training", killed)
    with pytest.raises(KeyboardInterrupt):
        pretrained(folder=tmp_path)
    monkeypatch.setattr(training_run, "save_training", save)
    resumed, outcome = pretrained(folder=tmp_path)
    assert len(saved) == 1 and len(outcome.history) == 3
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, atol=0, rtol=0)


def test_both_losses_fall():
    faster = replace(TINY.training, epochs=5, batch_size=6, warm_up=0, learning_rate=4e-3)
    _, outcome = pretrained(replace(TINY, training=faster))
    first, last = outcome.history[0], outcome.history[-1]
    assert last["points"] < 0.9 * first["points"]
    assert last["features"] < 0.9 * first["features"]


@pytest.mark.parametrize(
    ("guidance", "losses"),
    [("none", {"points"}), ("masking", {"points"}), ("targets", {"points", "features"})],
)
def test_guidance_is_used_for_what_is_asked(guidance, losses):
    recipe = replace(TINY, guidance=guidance)
    model, outcome = pretrained(recipe, guide=None if guidance == "none" else "hog")
    assert set(outcome.history[0]) == {"loss", *losses}
    assert (model.rec_head_2d is None) == ("features" not in losses)


def test_one_scale_of_tokens_is_an_ablation_and_its_file_is_loaded(folder):
    assert main(command(folder, "--guide", "hog", preset="i2p_mae_single_scale")) == 0
    encoder = load_object_encoder(folder / "out" / "pretrained.pth")
    assert encoder.h_encoder.grouping.groups == (8,)
    assert encoder.embed(torch.rand(2, 64, 3)).shape == (2, 12)


def test_a_fine_tuned_file_keeps_how_tokens_are_made(tmp_path):
    encoder = encoder_in(new_model(TINY, ImageGuide(load_image_model("hog"))), 64)
    encoder.reset_head(3)
    save_object_encoder(tmp_path / "tuned.pth", encoder, ("a", "b", "c"))
    assert load_object_encoder(tmp_path / "tuned.pth").h_encoder.grouping == TINY.grouping


def test_a_wrong_grouping_in_a_file_is_refused_by_name(tmp_path):
    state = new_model(replace(TINY, guidance="none"), None).state_dict()
    torch.save({"base_model": state, "grouping": {"groups": [8]}}, tmp_path / "file.pth")
    with pytest.raises(ValueError, match=r"file.pth: 'grouping' is .*expected groups, neighbours"):
        load_object_encoder(tmp_path / "file.pth")


def test_the_published_recipe_has_the_size_of_the_paper():
    model = new_model(replace(PUBLISHED, guidance="none"), None)
    head = 12288 * 192 + 12288  # to 8 members, 3 views and CLIP's 512 channels
    count = sum(value.numel() for value in model.parameters()) + head
    assert count == pytest.approx(17.62e6, rel=1e-3)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ((), "guidance is 'both' without an image model"),
        (("--guide", "files:nowhere"), r"nowhere/.*npz is missing"),
        (("--guide", "hog", "--mask-ratio", "0.01"), "mask_ratio is 0.01 of 8 groups"),
        (("--write-features", "here"), "--write-features with --guide None"),
    ],
)
def test_a_command_that_cannot_work_says_why(folder, capsys, more, message):
    assert main(command(folder, *more)) == 1
    assert re.search(message, capsys.readouterr().err)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda shapes, _: (shapes / "ShapeNet-55" / "train.txt").unlink(), r"train\.txt"),
        (lambda _, cloud: cloud.unlink(), r"\.npy is not a file"),
        (lambda _, cloud: np.save(cloud, np.ones(7)), r"\.npy: got float64 of shape \(7,\)"),
    ],
)
def test_a_folder_of_another_layout_is_refused_by_file(folder, capsys, spoil, message):
    shapes = folder / "shapes"
    spoil(shapes, next((shapes / "shapenet_pc").glob("*train*.npy")))
    assert main(command(folder, "--guidance", "none")) == 1
    assert re.search(message, capsys.readouterr().err)

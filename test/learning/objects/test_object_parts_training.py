# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Training of part segmentation: ReCon's trunk, ShapeNetPart's labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_objects import NAMES, tiny_recon, toys, write_parts

from concerto_ros.cli import main
from concerto_ros.learning.objects.data.object_set import ObjectSet
from concerto_ros.learning.objects.training.models import save_object_encoder
from concerto_ros.learning.objects.training.recon_parts import load_recon_parts
from concerto_ros.learning.objects.training.train_parts import (
    RECIPE,
    categories,
    evaluate_parts,
    rate_and_decay,
    save_parts,
    start_parts,
    train_parts,
)
from concerto_ros.learning.objects.training.training_run import RunOptions, parameter_groups
from concerto_ros.ptv3.checkpoint import CheckpointError

SMALL = dict(heads=2, groups=8, group_size=8)
FAST = replace(RECIPE, learning_rate=1e-3, epochs=11, warm_up=1, batch_size=8)


def halves(per_class: int, seed: int = 0) -> ObjectSet:
    """Tables and mugs, y up: the first by their upper and lower half, the others by a side."""
    data = toys(per_class, seed, points=64, classes=2)
    half = (data.points[:, :, 1] > 0).astype(np.int64)
    half[data.labels == 1] = data.points[data.labels == 1][:, :, 0] > 0
    parts = np.array([47, 36])[data.labels][:, None] + half
    return ObjectSet(f"halves {seed}", data.points, data.labels, ("Table", "Mug"), parts)


@pytest.fixture
def trunk(tmp_path):
    path = tmp_path / "recon.pth"
    save_object_encoder(path, tiny_recon(blocks=3), NAMES)
    return path


def test_parts_are_learnt_and_read_back(trunk, tmp_path):
    model, test = start_parts(trunk, **SMALL), halves(4, seed=1)
    before = evaluate_parts(model, test)
    outcome = train_parts(model, halves(12), FAST, RunOptions(test=test, test_every=12))
    after = evaluate_parts(model, test)
    assert before.accuracy < 0.75 and before.instance_iou < 0.6
    assert after.accuracy > 0.85 and after.instance_iou > before.instance_iou + 0.2
    assert outcome.epochs == 11 and outcome.last == after.instance_iou
    save_parts(tmp_path / "parts.pth", model)
    found = load_recon_parts(tmp_path / "parts.pth", **SMALL)
    points = torch.from_numpy(test.points)
    torch.testing.assert_close(
        found(points, categories(test)), model(points, categories(test)), atol=1e-5, rtol=1e-5
    )
    again = start_parts(tmp_path / "parts.pth", **SMALL).eval()
    assert evaluate_parts(again, test) == after


def test_the_trunk_is_that_of_the_file_and_the_head_follows_from_the_seed(trunk):
    first, same, other = (start_parts(trunk, seed=seed, **SMALL) for seed in (0, 0, 1))
    wanted = tiny_recon(blocks=3).trunk.state_dict()
    for name, value in first.trunk.state_dict().items():
        assert torch.equal(value, wanted[name]), name
    assert torch.equal(first.convs3.weight, same.convs3.weight)
    assert not torch.equal(first.convs3.weight, other.convs3.weight)


def test_the_head_learns_ten_times_as_fast(trunk):
    model = start_parts(trunk, **SMALL)
    rates = {
        id(value): (group["highest"], group["weight_decay"])
        for group in parameter_groups(dict(model.named_parameters()), RECIPE, rate_and_decay)
        for value in group["params"]
    }
    named = dict(model.named_parameters())
    assert len(rates) == len(named)
    for name, wanted in {
        "convs3.weight": (1e-3, 0.05),
        "convs3.bias": (1e-3, 0.05),
        "propagation_0.mlp_convs.0.weight": (1e-3, 0.05),
        "bns1.weight": (1e-4, 0.0),
        "trunk.encoder.first_conv.0.weight": (1e-4, 0.05),
    }.items():
        assert rates[id(named[name])] == pytest.approx(wanted), name


def test_points_are_drawn_anew_and_scaled_alike_along_all_axes(trunk, monkeypatch):
    model, seen = start_parts(trunk, **SMALL), []

    def note(points, _categories):
        seen.append(points)
        return torch.zeros(*points.shape[:2], 50, requires_grad=True).log_softmax(-1)

    train = halves(2)
    cloud = np.concatenate([train.points[0], 3.0 * np.ones((len(train.points[0]), 1))], 1)
    whole = replace(train, whole=(cloud.astype(np.float32),) * len(train))
    monkeypatch.setattr(model, "forward", note)
    train_parts(model, whole, replace(RECIPE.shortened(2), batch_size=4))
    first, second = (points[0] for points in seen[:2])
    for points in (first, second):
        size = points.amax(0) - points.amin(0)
        rows = np.unique(points.detach().numpy().round(5), axis=0)
        assert 1 < len(rows) < len(points)  # with repetition
        box = np.ptp(cloud[:, :3], axis=0)
        assert (size.numpy() <= 1.25 * box + 1e-5).all()
    assert not torch.equal(first, second)


def test_data_without_parts_and_other_files_are_refused(trunk, tmp_path):
    model = start_parts(trunk, **SMALL)
    with pytest.raises(ValueError, match="toys 0 has no labels of points, expected shapenetpart"):
        train_parts(model, toys(2), FAST)
    with pytest.raises(ValueError, match="'rod' is not a category of ShapeNetPart"):
        train_parts(model, replace(halves(2), classes=NAMES[:2]), FAST)
    torch.save({"state_dict": {"weight": torch.zeros(3)}}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match="other.pth is not a checkpoint of ReCon"):
        start_parts(tmp_path / "other.pth")


def test_the_command_trains_on_published_files(trunk, tmp_path, capsys):
    write_parts(tmp_path)
    options = [f"--option={name}={value}" for name, value in SMALL.items()]
    status = main(
        ["objects", "train", "parts", str(tmp_path), "--layout", "shapenetpart", "--epochs", "1"]
        + ["--checkpoint", str(trunk), "--out", str(tmp_path / "out"), "--device", "cpu", *options]
    )
    assert status == 0
    assert "1 epochs in" in capsys.readouterr().out
    parts = tmp_path / "out" / "parts.pth"
    report = (parts.parent / "report.md").read_text()
    assert report.startswith("# Part segmentation") and "% instance mIoU" in report
    assert "head_factor 10.0" in report and "change" not in report
    assert load_recon_parts(parts, **SMALL).convs3.out_channels == 50
    said = []
    for passes in ("1", "3"):
        arguments = ["--checkpoint", str(parts), "--passes", passes, "--device", "cpu", *options]
        command = ["objects", "evaluate", "parts", str(tmp_path), "--layout", "shapenetpart"]
        assert main([*command, *arguments]) == 0
        said.append(capsys.readouterr().out)
    assert "parts, 2 objects of ShapeNetPart, test: " in said[0]
    assert all("% instance mIoU" in one and "% class mIoU" in one for one in said)

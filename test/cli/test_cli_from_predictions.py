# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``concerto-ros train head --from-predictions``: a head moves to another encoder."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from small_rooms import VOXEL, room_scan, small_encoder
from torch.nn import functional

from concerto_ros.cli import main
from concerto_ros.heads import LinearHead
from concerto_ros.heads.linear import save_head
from concerto_ros.labels.label_set import UNLABELLED, LabelSet
from concerto_ros.learning.adaptation.predictions import Predictor
from concerto_ros.learning.data.batch import make_batch
from concerto_ros.learning.methods.ridge import RidgeSums
from concerto_ros.learning.methods.segmenter import Segmenter
from concerto_ros.ptv3 import load_encoder
from concerto_ros.ptv3.checkpoint import save_encoder
from concerto_ros.segmentation.convention import convention_for

NAMES = ["floor", "wall", "box"]
INDOOR = convention_for("indoor", rotary=False)


def fitted_head(encoder):
    """A head that labels the small rooms well, and is sure of it."""
    sums = RidgeSums(sum(encoder.channels), 3)
    with torch.no_grad():
        for seed in range(4):
            batch = make_batch([room_scan(seed)], INDOOR, VOXEL)
            pyramid = encoder(batch.feat, batch.grid_coord, batch.coord, batch.offset)
            sums.add(pyramid.upcast(None), functional.one_hot(batch.labels, 3).float())
    head = LinearHead(sum(encoder.channels), 3)
    weight, bias = sums.solve()
    head.seg_head.weight.data, head.seg_head.bias.data = 8 * weight, 8 * bias
    return head.eval().requires_grad_(False)


@pytest.fixture
def place(tmp_path):
    """A former encoder with its head, another encoder, and rooms with labels and without."""
    former, new = small_encoder(0), small_encoder(1)
    save_encoder(tmp_path / "former.pth", former)
    save_encoder(tmp_path / "new.pth", new)
    head = fitted_head(former)
    head.encoder = load_encoder(tmp_path / "former.pth").digest
    entries = "".join(
        f"  - {{id: {i}, source_id: {i}, name: {name}, color: [{i}, 0, 0]}}\n"
        for i, name in enumerate(NAMES)
    )
    (tmp_path / "names.yaml").write_text(f"name: boxes\ntitle: Boxes\nclasses:\n{entries}")
    head.labels = LabelSet.load(str(tmp_path / "names.yaml"))
    save_head(tmp_path / "head.pth", head)
    for name in ("recorded", "labelled"):
        (tmp_path / name).mkdir()
    for seed in range(3):
        scan = room_scan(10 + seed)
        arrays = {"points": scan.points, "colors": scan.colors, "normals": scan.normals}
        np.savez(tmp_path / "recorded" / f"{seed}.npz", **arrays)
        np.savez(tmp_path / "labelled" / f"{seed}.npz", **arrays, labels=scan.labels)
    return tmp_path


def refit(place, *options):
    given = {
        "--checkpoint": "new.pth",
        "--former-checkpoint": "former.pth",
        "--former-head": "head.pth",
        "--out": "out",
    }
    command = ["train", "head", place / "recorded", "--from-predictions", "--device", "cpu"]
    for name, file in given.items():
        command += [name, place / file]
    command += ["--steps", "150", "--learning-rate", "0.02", "--views", "1", *options]
    return main([str(part) for part in command])


def test_the_head_of_another_encoder_learns_what_the_former_one_was_sure_of(place, capsys):
    before = load_encoder(place / "new.pth").digest
    assert refit(place, "--confidence", "0.6") == 0
    said = capsys.readouterr().out
    assert "2 training and 1 validation scans, 3 classes" in said
    head = LinearHead.load(place / "out" / "head.pth", load_encoder(place / "new.pth"))
    assert head.encoder == before
    classes = LabelSet.load(str(place / "out" / "classes.yaml"))
    assert [entry.name for entry in classes.classes] == NAMES
    report = (place / "out" / "report.md").read_text()
    assert "agreement with such predictions, not with the truth" in report
    right = []
    predictor = Predictor(Segmenter(load_encoder(place / "new.pth"), head), INDOOR, VOXEL, 0.0)
    for seed in range(20, 22):
        scan = room_scan(seed)
        right.append(predictor.labels(scan) == scan.labels)
    assert np.mean(np.concatenate(right)) > 0.8


def test_labelled_scans_measure_the_refitted_head_where_there_are_some(place, capsys):
    labelled = ("--validation", place / "labelled", "--confidence", "0.5")
    assert refit(place, *labelled, "--label-map", place / "names.yaml") == 0
    assert json.loads((place / "out" / "report.json").read_text())["mIoU"] > 0.6
    assert refit(place, *labelled, "--out", place / "other") == 1
    assert "expected those of the former head: floor, wall, box" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--confidence", "1"), "no point of 2 scans has a prediction of probability 1 or more"),
        (("--confidence", "2"), "confidence is 2.0, expected 0 to 1"),
        (("--former-checkpoint", "new.pth"), "head.pth was trained on another encoder than"),
        (("--intensity-white", "255"), "--intensity-white: got 255, expected 0"),
    ],
)
def test_predictions_that_mean_nothing_are_refused(place, capsys, options, said):
    options = [place / each if each.endswith(".pth") else each for each in options]
    assert refit(place, *options) == 1
    assert said in capsys.readouterr().err


def test_the_former_head_of_a_file_has_to_be_named(place, capsys):
    command = ["train", "head", place / "recorded", "--checkpoint", place / "new.pth"]
    command += ["--from-predictions", "--former-checkpoint", place / "former.pth"]
    assert main([str(part) for part in command]) == 1
    assert "--former-head is missing" in capsys.readouterr().err


def test_only_points_above_the_confidence_that_the_temperature_leaves_have_a_label():
    encoder = small_encoder(0)
    head = fitted_head(encoder)
    scan = room_scan(3)
    shares = []
    for confidence, temperature in ((0.0, 1.0), (0.7, 1.0), (0.7, 2.0), (1.0, 1.0)):
        head.temperature = temperature
        labels = Predictor(Segmenter(encoder, head), INDOOR, VOXEL, confidence).labels(scan)
        assert labels.dtype == np.uint8
        shares.append(np.mean(labels != UNLABELLED))
    assert shares[0] == 1 and shares[3] == 0
    assert shares[1] > shares[2] and 0 < shares[1] < 1

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``--preset outdoor`` of every command takes the bundled model for the outdoors by itself."""

from __future__ import annotations

import json

import bag_recordings
import bundled_models
import numpy as np
import pytest
from training_data import box_scan

from concerto_ros.cli import main
from concerto_ros.heads import LinearHead
from concerto_ros.labels.label_set import LabelSet
from concerto_ros.sensors.ply import read_ply

OUTDOOR = ("--preset", "outdoor", "--device", "cpu")


@pytest.fixture(autouse=True)
def outdoor(tmp_path, monkeypatch):
    bundled_models.bundle_outdoor_model(tmp_path, monkeypatch)


@pytest.fixture
def scans(tmp_path):
    """A folder of scans labelled in the classes of the outdoor model."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for seed in range(4):
        scan = box_scan(seed, 400)
        points = 8 * scan.points
        np.savez(folder / f"{seed}.npz", xyz=points, rgb=scan.colors, label=scan.labels)
    return folder


def test_segment_labels_with_the_outdoor_model(tmp_path, capsys):
    points = 4 * box_scan(0, 500).points
    np.savez(tmp_path / "yard.npz", xyz=points)
    assert main(["segment", str(tmp_path / "yard.npz"), *OUTDOOR]) == 0
    said = capsys.readouterr().out
    assert "model demo_outdoor\n" in said
    shares = {line.split()[0] for line in said.splitlines() if line.endswith("%")}
    assert shares and shares <= set(bundled_models.CLASSES)
    assert read_ply(tmp_path / "yard_labels.ply")["label"].max() < len(bundled_models.CLASSES)


def test_bag_labels_with_the_outdoor_model_and_writes_its_classes(tmp_path, capsys):
    bag_recordings.write(tmp_path / "drive", bag_recordings.drive(3))
    out = tmp_path / "out"
    assert main(["bag", str(tmp_path / "drive"), str(out), *OUTDOOR, "--every", "10"]) == 0
    assert "model demo_outdoor\n" in capsys.readouterr().out
    (classes,) = bag_recordings.messages(out, "/concerto/classes")
    assert tuple(entry.name for entry in classes.classes) == bundled_models.CLASSES


def test_evaluate_measures_the_outdoor_model(tmp_path, scans):
    arguments = ["--split", "all", "--label-map", "demo_outdoor", "--out", str(tmp_path / "out")]
    assert main(["evaluate", str(scans), *OUTDOOR, *arguments]) == 0
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert tuple(entry["name"] for entry in report["classes"]) == bundled_models.CLASSES
    assert "demo_outdoor" in (tmp_path / "out/report.md").read_text()


def test_a_head_is_trained_on_the_outdoor_encoder_and_used_with_it_alone(tmp_path, scans, capsys):
    place = str(tmp_path / "trained")
    options = ["--steps", "4", "--label-map", "demo_outdoor", "--out", place]
    assert main(["train", "head", str(scans), *OUTDOOR, *options]) == 0
    said = capsys.readouterr().out
    assert "voxels of 0.2 m, encoder demo_outdoor, input convention of the preset outdoor" in said
    assert f"checkpoint:=demo head:={place}/head.pth" in said and "preset:=outdoor" in said
    head = LinearHead.load(f"{place}/head.pth")
    assert head.preset == "outdoor" and head.num_classes == len(LabelSet.load("demo_outdoor"))

    command = ["segment", str(scans / "0.npz"), "--head", f"{place}/head.pth"]
    assert main([*command, *OUTDOOR]) == 0
    assert f"model demo_outdoor + {place}/head.pth\n" in capsys.readouterr().out
    assert main(command) == 1
    assert "takes 96 channels, encoder 'demo' has" in capsys.readouterr().err

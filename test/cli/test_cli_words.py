# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Words on the command line: label a file with them, find what a text names."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from PIL import Image
from word_space import language_head, office_scan, word_parameters

from concerto_ros import SemanticPipeline
from concerto_ros.cli import main
from concerto_ros.heads.language import save_language_head
from concerto_ros.mapping.map_file import stored_map, write_map
from concerto_ros.sensors.frame import Frame
from concerto_ros.sensors.ply import read_ply
from concerto_ros.settings.settings import Settings


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with an office, and the options that name a language head and a table for it."""
    folder = tmp_path_factory.mktemp("words")
    points, colors, normals, _ = office_scan(15_000)
    np.savez(folder / "office.npz", xyz=points, rgb=colors, normals=normals)
    parameters = word_parameters(folder)
    options = [
        *("--language-head", parameters["words.head"]),
        *("--word-table", parameters["words.table"]),
        *("--device", "cpu"),
    ]
    return folder, options


def test_a_file_is_labelled_with_words(files, tmp_path, capsys):
    folder, options = files
    arguments = ["segment", str(folder / "office.npz"), "--out", str(tmp_path)]
    assert main([*arguments, "--words", "something to sit on, table", *options]) == 0
    shown = capsys.readouterr().out
    assert "that no word matches well enough" in shown and "something to sit on" in shown
    labels = np.unique(read_ply(tmp_path / "office_labels.ply")["label"])
    assert labels.tolist() == [0, 1, 255]


def test_what_a_text_names_is_found_in_a_file(files, tmp_path, capsys):
    folder, options = files
    arguments = ["find", str(folder / "office.npz"), "something to sit on", *options]
    assert main([*arguments, "--limit", "1", "--out", str(tmp_path)]) == 0
    report = json.loads((tmp_path / "office_found.json").read_text())
    best = report["matches"][0]
    assert len(report["matches"]) == 1 <= report["found"] and 0.5 < best["score"] <= 1
    assert best["points"] >= 20 and len(best["box"]["size"]) == 3
    shown = capsys.readouterr().out
    middle = " ".join(f"{value:.2f}" for value in best["centroid"])
    assert middle in " ".join(shown.split()) and f"{best['score']:.2f}" in shown
    with Image.open(tmp_path / "office_found.png") as picture:
        assert (np.array(picture) == (40, 200, 90)).all(axis=2).any()


def test_what_is_not_there_is_not_found(files, tmp_path, capsys):
    folder, options = files
    arguments = ["find", str(folder / "office.npz"), "bed", *options, "--out", str(tmp_path)]
    assert main(arguments) == 0
    assert "bed: not found" in capsys.readouterr().out
    assert json.loads((tmp_path / "office_found.json").read_text())["matches"] == []


def test_a_saved_map_is_searched_too(files, tmp_path, capsys):
    folder, options = files
    points, colors, normals, _ = office_scan(15_000)
    pipeline = SemanticPipeline.from_settings(Settings(device="cpu"))
    pipeline.insert(Frame(points, 1, "odom", "lidar", colors, normals))
    snapshot = pipeline.snapshot()
    stored = stored_map(snapshot, pipeline.infer(snapshot), "kitchen")
    write_map(tmp_path / "map.safetensors", stored)
    assert main(["find", str(tmp_path / "map.safetensors"), "chair", *options]) == 0
    assert json.loads((tmp_path / "map_found.json").read_text())["found"] >= 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["find", "nowhere.npz", "  "], "TEXT.*expected a text"),
        (["find", "nowhere.npz", "chair", "--limit", "0"], "--limit: got 0, expected 1 or more"),
        (["find", "nowhere.npz", "chair"], "nowhere.npz"),
        (["find", "nowhere.npz", "chair", "--find-threshold", "2"], "words.find_threshold: got 2"),
        (["segment", "nowhere.npz", "--words", "chair,,desk"], "--words.*expected a text"),
        (["segment", "nowhere.npz", "--words", "x" * 5000], "--words.*5000 characters"),
        (["bag", "nowhere", "out", "--words", ",".join(map(str, range(300)))], "got 300 words"),
    ],
)
def test_wrong_use_is_told_before_a_model_loads(arguments, words, capsys, monkeypatch):
    monkeypatch.setattr(SemanticPipeline, "from_settings", None)
    assert main(arguments) == 1
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert re.search(words, shown), shown


def test_a_head_of_another_encoder_is_refused_by_its_option(files, tmp_path, capsys):
    folder, options = files
    head = language_head()
    head.encoder = "0" * 32
    save_language_head(tmp_path / "other.safetensors", head)
    arguments = ["find", str(folder / "office.npz"), "chair", *options]
    arguments[arguments.index("--language-head") + 1] = str(tmp_path / "other.safetensors")
    assert main(arguments) == 1
    assert "words.head: " in capsys.readouterr().err

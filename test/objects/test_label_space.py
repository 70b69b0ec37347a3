# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Label space files for Hydra and Khronos."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import yaml

from concerto_ros.cli import main
from concerto_ros.labels.label_set import UNLABELLED, LabelSet
from concerto_ros.objects.finding.label_space import label_space


@pytest.mark.parametrize("name", LabelSet.shipped())
def test_every_label_has_its_name_and_at_most_one_role(name):
    labels = LabelSet.load(name)
    space = label_space(labels)
    total = space["total_semantic_labels"]
    assert [entry["label"] for entry in space["label_names"]] == list(range(total))
    names = [entry["name"] for entry in space["label_names"]]
    assert names == [entry.name for entry in labels.classes] + ["unlabelled"]
    roles = ("dynamic_labels", "invalid_labels", "object_labels", "surface_places_labels")
    having = [label for role in roles for label in space[role]]
    assert len(having) == len(set(having))
    assert set(having) <= set(range(total))
    assert space["invalid_labels"] == [total - 1]
    assert space["object_labels"] and space["surface_places_labels"]


def test_people_move_floors_are_places_walls_are_neither():
    labels = LabelSet.load("demo")
    space, label = label_space(labels), {entry.name: entry.id for entry in labels.classes}
    assert space["dynamic_labels"] == [label["person"]]
    assert space["surface_places_labels"] == [label["floor"]]
    assert {label["chair"], label["table"], label["bed"]} <= set(space["object_labels"])
    assert label["wall"] not in space["object_labels"]


def test_the_command_writes_roles_colours_and_the_map_of_unlabelled(tmp_path, capsys):
    assert main(["objects", "labelspace", "demo", "--out", str(tmp_path / "new")]) == 0

    files = capsys.readouterr().out.split()
    assert [file.rpartition("/")[2] for file in files] == [
        "demo_label_space.yaml",
        "demo_colors.csv",
        "demo_remap.yaml",
    ]
    labels = LabelSet.load("demo")
    space, colors, remap = (Path(file).read_text("utf-8") for file in files)
    space, remap = yaml.safe_load(space), yaml.safe_load(remap)
    assert space == label_space(labels)
    assert {"sub_id": UNLABELLED, "super_id": len(labels)} in remap
    assert len(remap) == len(labels) + 1
    rows = list(csv.DictReader(colors.splitlines()))
    for entry, row in zip(labels.classes, rows, strict=False):
        color = tuple(int(row[channel]) for channel in ("red", "green", "blue"))
        assert (row["name"], int(row["id"]), color) == (entry.name, entry.id, entry.color)
    assert len(rows) == len(labels) + 1


def test_an_unknown_label_set_is_named(tmp_path, capsys):
    assert main(["objects", "labelspace", "nothing", "--out", str(tmp_path)]) == 1
    assert "nothing" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []

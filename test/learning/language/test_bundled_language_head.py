# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The bundled language head: how it is trained, measured and written down."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from training_data import box_scan

from concerto_ros.cli import main
from concerto_ros.heads.language import LanguageHead
from concerto_ros.labels.label_set import UNLABELLED, LabelSet
from concerto_ros.learning.data.labelled_scan import NO_NAME
from concerto_ros.learning.demo_model import furniture, recipe
from concerto_ros.learning.language import document
from concerto_ros.ptv3 import load_encoder
from concerto_ros.sim import CLASSES

NAMES = ("floor", "wall", "cardboard box")
PLACE = "<!-- measured words: begin -->\n\n<!-- measured words: end -->\n"


class Rooms(list):
    """Rooms of a floor, a wall and a box, in the classes of the bundled model."""

    def __init__(self, folder, seeds, furniture=None, named=False):
        assert named
        self.classes = LabelSet.load("demo")
        super().__init__(self.room(seed) for seed in seeds)

    @staticmethod
    def room(seed):
        scan = box_scan(seed, 1500)
        known = scan.labels != UNLABELLED
        classes = np.array([CLASSES.index(name) for name in ("floor", "wall", "other")], np.uint8)
        labels = np.where(known, classes[np.where(known, scan.labels, 0)], UNLABELLED)
        ids = np.where(known, scan.labels.astype(np.uint16), NO_NAME).astype(np.uint16)
        return replace(
            scan, name=f"room{seed}-office-mesh0", labels=labels.astype(np.uint8),
            name_ids=ids, names=NAMES,
        )  # fmt: skip


@pytest.fixture
def rooms(monkeypatch):
    few = replace(
        recipe.INDOOR,
        open_scans=Rooms,
        training_seeds=range(3),
        validation_seeds=range(10, 12),
        test_seeds=range(20, 22),
    )
    monkeypatch.setitem(recipe.RECIPES, "indoor", few)
    monkeypatch.setattr(furniture, "find_folder", lambda: None)


@pytest.mark.usefixtures("rooms")
def test_it_is_trained_on_rooms_with_fine_names_and_measured_on_others(
    tmp_path, monkeypatch, capsys
):
    page = tmp_path / "words.md"
    page.write_text(f"# Words\n\n{PLACE}\nThe end.\n")
    monkeypatch.setattr(document, "DOCUMENT", str(page))
    head_file = tmp_path / "language.safetensors"
    arguments = ["train", "demo", "--language", "--out", str(tmp_path / "run"), "--device", "cpu"]
    arguments += ["--write", str(head_file)]
    assert main([*arguments, "--steps", "0"]) == 1
    assert "--steps: expected none of them with --language" in capsys.readouterr().err
    assert main(arguments) == 0
    head = LanguageHead.load(head_file, load_encoder("demo"))
    assert (head.text_encoder, head.width, head.preset) == ("minilm", 384, "indoor")
    assert head.threshold == 0.5 and 0 < head.find_threshold < 1
    assert (
        len(head.rivals) == 168
        and len(head.anchors) == 12
        and {"object", "floor", "chair"} < set(head.contrast)
    )
    assert len(head.meanings) == len(head.trained_words) > 500 and "chair" in head.meanings
    assert head_file.stat().st_size < 1_000_000
    assert main([*arguments, "--report"]) == 0
    text = page.read_text()
    assert "measured on 2 scans of 2 rooms" in text and "The end." in text
    assert "cardboard box " in text and "| **mIoU** |" in text
    assert "what is found has at least the probability" in capsys.readouterr().out

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Rooms of the bundled model's training that are furnished from a library."""

from __future__ import annotations

import pytest
from furniture_libraries import write_furniture_libraries

from concerto_ros.learning.demo_model.furniture import credits_table, furnished, furniture_folder
from concerto_ros.learning.demo_model.recipe import INDOOR
from concerto_ros.learning.demo_model.rooms import TRAINING_SEEDS, VALIDATION_SEEDS
from concerto_ros.sim.library import FurnitureLibrary


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return write_furniture_libraries(tmp_path)[0]


def test_training_rooms_have_the_other_models_than_validation_rooms(folder, tmp_path, monkeypatch):
    asked = {}

    def scans_of(seed, furniture):
        asked[seed] = [piece.entry.identity for piece in furniture.pieces()]
        return []

    monkeypatch.setattr("concerto_ros.learning.demo_model.rooms.scans_of", scans_of)
    recipe = furnished(INDOOR, folder)
    for seeds in (TRAINING_SEEDS, VALIDATION_SEEDS):
        recipe.scans(tmp_path, seeds[:1])
    library = FurnitureLibrary.open(folder)
    for seeds, held_out in ((TRAINING_SEEDS, False), (VALIDATION_SEEDS, True)):
        wanted = [piece.entry.identity for piece in library.pieces(held_out=held_out)]
        assert asked[seeds[0]] == wanted


def test_rooms_of_another_library_are_not_taken_for_these(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("concerto_ros.learning.demo_model.rooms.scans_of", lambda *_: [])
    for furniture in (None, folder, None, folder):
        furnished(INDOOR, furniture).scans(tmp_path, TRAINING_SEEDS[:1])
    files = [path.name for path in (tmp_path / INDOOR.scenes).iterdir()]
    assert len(files) == 4  # of each library the scans, and the names of what they show


def test_no_library_is_taken_when_none_is_asked_for(tmp_path):
    assert furniture_folder("none") is None
    assert furniture_folder(str(tmp_path)) == tmp_path


def test_the_authors_of_a_library_are_named(folder):
    table = credits_table(FurnitureLibrary.open(folder))
    assert "| Test models | CC0 | 2 | Ann, José |" in table

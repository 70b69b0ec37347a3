# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The rules that say what a furniture model is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from concerto_ros.sim.library import FurnitureError
from concerto_ros.sim.library.catalogue import Entry
from concerto_ros.sim.library.kinds import Kinds
from concerto_ros.sim.library.piece_names import piece_name

CHAIR = Entry(
    "Lib",
    "Lib#1",
    "Chair",
    "Living room",
    "Seat",
    None,
    (),
    0.0,
    "",
    "",
    Path("lib.sh3f"),
    "c.obj",
)


def rules(tmp_path, text):
    path = tmp_path / "rules.yaml"
    path.write_text(text)
    return Kinds(path)


@pytest.mark.parametrize(
    "name, category, kind, class_name, place",
    [
        ("Chair", "Living room", "chair", "chair", "free"),
        ("Corner sofa", "Living room", "sofa", "sofa", "wall"),
        ("Bunk bed", "Bedroom", "high bed", "bed", "wall"),
        ("Table", "Living room", "dining table", "table", "free"),
        ("Wardrobe", "Bedroom", "wardrobe", "cabinet", "wall"),
        ("Female", "Characters", "person", "person", "free"),
        ("Coffee cup", "Kitchen", "table thing", "other", "table"),
        ("Bus", "Vehicles", "bus", "vehicle", "outdoors"),
    ],
)
def test_a_model_is_what_its_name_says(name, category, kind, class_name, place):
    found = Kinds().of(replace(CHAIR, name=name, category=category))
    assert (found.kind, found.class_name, found.place) == (kind, class_name, place)


def test_what_no_rule_knows_or_a_rule_leaves_out_is_left_out():
    kinds = Kinds()
    assert kinds.of(replace(CHAIR, name="Flux capacitor")) is None
    assert kinds.of(replace(CHAIR, name="Wall switch")) is None


def test_the_first_rule_that_fits_counts_and_materials_may_have_a_class_of_their_own(tmp_path):
    kinds = rules(
        tmp_path,
        """
- {kind: bar, class: cabinet, place: wall, names: ["Cha.*"], parts: {"^glass": screen}}
- {kind: chair, class: chair, place: free, names: [Chair]}
""",
    )
    kind = kinds.of(CHAIR)
    assert kind.kind == "bar"
    assert [kind.class_of(name) for name in ("wood", "Glass 2")] == ["cabinet", "screen"]


@pytest.mark.parametrize(
    "rule, message",
    [
        ("kind: a, class: chair, place: shelf, names: [A]", "rule 1: place is 'shelf', expected"),
        ("kind: a, class: stool, place: free, names: [A]", "rule 1: class is 'stool', expected"),
        ("kind: a, class: chair, place: free", "rule 1: has neither names nor models"),
        ("kind: a, class: chair, place: free, names: [A], tall: 2", "rule 1: .*'tall'"),
    ],
)
def test_a_wrong_rule_is_named(tmp_path, rule, message):
    with pytest.raises(FurnitureError, match=message):
        rules(tmp_path, f"- {{{rule}}}")


@pytest.mark.parametrize(
    ("name", "category", "called"),
    [
        ("Corner sofa", "Living room", "corner sofa"),
        ("Couch", "Living room", "sofa"),
        ("Bar chair", "Kitchen", "bar stool"),
        ("Bedside table", "Bedroom", "nightstand"),
        ("Microwave", "Kitchen", "microwave"),
        ("Female", "Characters", "person"),
        ("Washbasin", "Bathroom", "washbasin"),
        ("Desk lamp", "Office", "desk lamp"),
        ("Changing table", "Bedroom", "chest of drawers"),
        ("Keyboard", "Office", "piano"),  # a musical one
    ],
)
def test_a_model_is_called_what_people_call_it(name, category, called):
    kind = Kinds().of(replace(CHAIR, name=name, category=category))
    assert piece_name(kind.kind, kind.name, name) == called


def test_a_name_means_something_else_for_another_kind():
    assert piece_name("ceiling lamp", "catalogue", "Lamp") == "ceiling lamp"
    assert piece_name("table lamp", "catalogue", "Lamp") == "desk lamp"
    assert piece_name("floor thing", "catalogue", "Box") == "box"
    assert piece_name("sideboard", "catalogue", "Box") == "sideboard"


def test_a_name_is_no_part_of_what_tells_libraries_apart():
    kind = Kinds().of(CHAIR)
    assert repr(replace(kind, name="seat")) == repr(kind)

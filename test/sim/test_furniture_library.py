# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Furniture libraries: catalogues, models, kinds, and rooms that are furnished from them."""

from __future__ import annotations

import numpy as np
import pytest
from furniture_libraries import write_furniture_libraries

from concerto_ros.sim import CLASSES, Room
from concerto_ros.sim.library import FurnitureError, FurnitureLibrary
from concerto_ros.sim.library.in_rooms import ENOUGH, SHARE, drawn, furnished_from
from concerto_ros.sim.textures import TEXTURES


@pytest.fixture
def libraries(tmp_path):
    return write_furniture_libraries(tmp_path)


@pytest.fixture
def library(libraries, tmp_path):
    return FurnitureLibrary.open(libraries[0], cache=tmp_path / "cache")


def test_a_sweet_home_library_gives_pieces_in_the_size_of_its_catalogue(library):
    pieces = {piece.entry.name: piece for piece in library.pieces()}
    assert set(pieces) == {"Chair", "Coffee table"}, "a wall plug is left out"
    assert pieces["Chair"].size == pytest.approx((0.5, 0.6, 0.9), abs=1e-4)
    assert pieces["Coffee table"].size == pytest.approx((1.2, 0.7, 0.45), abs=1e-4)
    assert pieces["Chair"].entry.creator == "José"


def test_a_piece_stands_on_the_floor_with_its_back_edge_at_zero_and_faces_the_front(library):
    (chair,) = library.pieces("chair")
    mesh = chair.mesh()
    low, high = mesh.bounds()
    assert low == pytest.approx((-0.25, 0.0, 0.0), abs=1e-4)
    rest = mesh.corners[mesh.corners[..., 2] > 0.6]
    assert rest[:, 1].max() < 0.1, "the back rest is at the back"
    assert {CLASSES[label] for label in np.unique(mesh.label)} == {"chair"}


def test_a_catalogues_rotation_turns_a_model_upright(library):
    (table,) = library.pieces("table")
    assert table.flat_top == pytest.approx(1.0, abs=0.02)


def test_pictures_become_colours_and_faces_look_outward(library):
    (chair,) = library.pieces("chair")
    mesh = chair.mesh()
    assert mesh.color.mean(0) * 255 == pytest.approx((200, 30, 20), abs=3)
    top = mesh.corners[..., 2].min(1) > 0.899
    assert top.any()
    assert (mesh.normals[top][..., 2] > 0.99).all()
    longest = np.linalg.norm(mesh.corners - np.roll(mesh.corners, 1, axis=1), axis=2).max()
    assert longest < 0.2, "light and pictures need small triangles"


def test_a_folder_with_a_table_is_a_library_too(libraries, tmp_path):
    library = FurnitureLibrary.open(libraries[1], cache=tmp_path / "cache")
    (chair,) = library.pieces("chair")
    assert chair.size == pytest.approx((0.5, 0.6, 0.9), abs=1e-4)
    assert chair.mesh().color[0] == pytest.approx((0.1, 0.6, 0.2), abs=0.01)
    assert library.credits() == [("table", "CC-BY 4.0", 1, ("Eve",))]


def test_models_are_read_once(libraries, tmp_path, monkeypatch):
    first = FurnitureLibrary.open(libraries[0], cache=tmp_path / "cache")
    monkeypatch.setattr("concerto_ros.sim.library.store.read_model", lambda entry: 1 / 0)
    again = FurnitureLibrary.open(libraries[0], cache=tmp_path / "cache")
    assert again.identity == first.identity
    assert len(again.pieces()[0].mesh()) == len(first.pieces()[0].mesh())


def test_a_damaged_model_is_left_out_and_said(libraries, tmp_path, caplog):
    _, folder = libraries
    with (folder / "furniture.csv").open("a") as table:
        table.write("broken.glb,Sofa,Living room,2,0.9,0.8,Eve,CC0\n")
    (folder / "broken.glb").write_bytes(b"not a model")
    library = FurnitureLibrary.open(folder, cache=tmp_path / "cache")
    assert [piece.entry.name for piece in library.pieces()] == ["Chair"]
    assert "Sofa of table is left out" in caplog.text


def test_a_folder_without_a_library_says_what_is_expected(tmp_path):
    with pytest.raises(FurnitureError, match=r"furniture\.csv with the columns file, name"):
        FurnitureLibrary.open(tmp_path, cache=tmp_path)


def test_a_wrong_size_names_file_line_and_field(libraries, tmp_path):
    table = libraries[1] / "furniture.csv"
    table.write_text("file,name,category,width,depth,height\nseat.obj,Chair,Kitchen,0.5,wide,1\n")
    with pytest.raises(FurnitureError, match=r"furniture\.csv: line 2: width, depth, height are"):
        FurnitureLibrary.open(libraries[1], cache=tmp_path)


def test_held_out_models_and_the_others_are_apart(library):
    held, others = library.only(held_out=True), library.only(held_out=False)
    names = [{piece.entry.name for piece in part.pieces()} for part in (held, others)]
    assert names[0] | names[1] == {"Chair", "Coffee table"}
    assert not names[0] & names[1]
    assert library.pieces(held_out=True) == held.pieces()


def test_a_room_with_a_library_has_its_models_and_is_the_same_each_time(library, monkeypatch):
    monkeypatch.setattr("concerto_ros.sim.library.in_rooms.ENOUGH", 1)
    one, other = (Room(4, "meeting", library) for _ in range(2))
    assert np.array_equal(one.mesh.corners, other.mesh.corners)
    assert np.array_equal(one.mesh.color, other.mesh.color)
    taken = one.mesh.texture == TEXTURES.index("photo")
    assert taken.any()
    assert {CLASSES[label] for label in np.unique(one.mesh.label[taken])} == {"chair"}


def test_a_room_without_a_library_never_changes(library):
    before = Room(3, "lounge")
    Room(3, "lounge", library)
    after = Room(3, "lounge")
    assert np.array_equal(before.mesh.corners, after.mesh.corners)
    assert np.array_equal(before.mesh.color, after.mesh.color)


def test_few_models_of_a_kind_do_not_crowd_out_what_a_builder_makes(library):
    rng = np.random.default_rng(0)
    with furnished_from(library):
        taken = np.mean([drawn(rng, ["chair"]) is not None for _ in range(600)])
    assert taken == pytest.approx(SHARE / ENOUGH, abs=0.05)

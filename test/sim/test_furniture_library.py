"""Furniture libraries: catalogues, models, kinds, and rooms that are furnished from them."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
from PIL import Image

from concerto_ros.sim import CLASSES, Room
from concerto_ros.sim.library import FurnitureError, FurnitureLibrary
from concerto_ros.sim.textures import TEXTURES

CATALOGUE = r"""
name=Test models
license=CC0
id#1=Test#chair
name#1=Chair
category#1=Living room
creator#1=Jos\u00e9
model#1=/test/chair/chair.obj
width#1=50
depth#1=60
height#1=90
id#2=Test#table
name#2=Coffee table
category#2=Living room
creator#2=Ann
model#2=/test/table/table.obj
width#2=120
depth#2=70
height#2=45
modelRotation#2=1 0 0 0 0 1 0 -1 0
id#3=Test#plug
name#3=Wall plug
category#3=Miscellaneous
model#3=/test/chair/chair.obj
width#3=8
depth#3=1
height#3=8
"""


def obj(*boxes: tuple, material: str = "wood", up: str = "y") -> str:
    """An OBJ file of boxes (x0, y0, z0, x1, y1, z1), y up or, for a rotation to turn, z up."""
    lines, first = ["mtllib model.mtl", f"usemtl {material}"], 1
    lines += ["vt 0.1 0.1", "vt 0.9 0.1", "vt 0.9 0.9", "vt 0.1 0.9"]
    for x0, y0, z0, x1, y1, z1 in boxes:
        corners = [(x, y, z) for x in (x0, x1) for y in (y0, y1) for z in (z0, z1)]
        lines += [f"v {x} {y} {z}" if up == "y" else f"v {x} {-z} {y}" for x, y, z in corners]
        sides = (
            (0, 1, 3, 2),
            (4, 6, 7, 5),
            (0, 4, 5, 1),
            (2, 3, 7, 6),
            (0, 2, 6, 4),
            (1, 5, 7, 3),
        )
        lines += [
            "f " + " ".join(f"{corner + first}/{i + 1}" for i, corner in enumerate(side))
            for side in sides
        ]
        first += 8
    return "\n".join(lines)


#: The front of a model is its +z, as in Sweet Home 3D: the back is at z = 0. In inches, say.
CHAIR = obj((0, 0, 0, 20, 18, 24), (0, 18, 0, 20, 36, 2))
TABLE = obj((0, 40, 0, 120, 45, 70), (55, 0, 30, 65, 40, 40), up="z")


@pytest.fixture
def libraries(tmp_path):
    """A folder with one ``.sh3f`` file, and a folder with a table of OBJ files."""
    Image.new("RGB", (8, 8), (200, 30, 20)).save(tmp_path / "red.png")
    sweet, table = tmp_path / "sweet", tmp_path / "table"
    sweet.mkdir()
    table.mkdir()
    material = "newmtl wood\nKd 1 1 1\nmap_Kd red.png\n"
    with zipfile.ZipFile(sweet / "test.sh3f", "w") as archive:
        archive.writestr("PluginFurnitureCatalog.properties", CATALOGUE.encode("latin-1"))
        for name, text in (("chair", CHAIR), ("table", TABLE)):
            archive.writestr(f"test/{name}/{name}.obj", text)
            archive.writestr(f"test/{name}/model.mtl", material)
            archive.write(tmp_path / "red.png", f"test/{name}/red.png")
    (table / "seat.obj").write_text(CHAIR)
    (table / "model.mtl").write_text("newmtl wood\nKd 0.1 0.6 0.2\n")
    (table / "furniture.csv").write_text(
        "file,name,category,width,depth,height,creator,licence\n"
        "seat.obj,Chair,Living room,0.5,0.6,0.9,Eve,CC-BY 4.0\n"
    )
    return sweet, table


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


def test_a_room_with_a_library_has_its_models_and_is_the_same_each_time(library):
    one, other = (Room(3, "meeting", library) for _ in range(2))
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

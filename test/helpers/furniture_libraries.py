# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A tiny furniture library of either form, for tests."""

from __future__ import annotations

import zipfile

from PIL import Image

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


def write_furniture_libraries(folder):
    """A folder with one ``.sh3f`` file, and a folder with a table of OBJ files."""
    Image.new("RGB", (8, 8), (200, 30, 20)).save(folder / "red.png")
    sweet, table = folder / "sweet", folder / "table"
    sweet.mkdir()
    table.mkdir()
    material = "newmtl wood\nKd 1 1 1\nmap_Kd red.png\n"
    with zipfile.ZipFile(sweet / "test.sh3f", "w") as archive:
        archive.writestr("PluginFurnitureCatalog.properties", CATALOGUE.encode("latin-1"))
        for name, text in (("chair", CHAIR), ("table", TABLE)):
            archive.writestr(f"test/{name}/{name}.obj", text)
            archive.writestr(f"test/{name}/model.mtl", material)
            archive.write(folder / "red.png", f"test/{name}/red.png")
    (table / "seat.obj").write_text(CHAIR)
    (table / "model.mtl").write_text("newmtl wood\nKd 0.1 0.6 0.2\n")
    (table / "furniture.csv").write_text(
        "file,name,category,width,depth,height,creator,licence\n"
        "seat.obj,Chair,Living room,0.5,0.6,0.9,Eve,CC-BY 4.0\n"
    )
    return sweet, table


def write_furnished_folder(folder, names):
    """A folder with a table of four models of each of the names.

    Args:
        folder: The folder, created.
        names: Names in the catalogue.
    """
    folder.mkdir()
    lines = ["file,name,category,width,depth,height"]
    for name in names:
        for number in range(4):
            file = f"{name.lower().replace(' ', '_')}{number}.obj"
            (folder / file).write_text(CHAIR)
            lines.append(f"{file},{name},Living room,0.5,0.6,0.{7 + number % 3}")
    (folder / "furniture.csv").write_text("\n".join(lines) + "\n")
    return folder

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which room of the package imports which, and the folders inside the rooms."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

from markdown import code, prose, table


def floors(root: Path) -> dict[str, int]:
    """The floor of each room, from the contract that ``make lint`` checks."""
    contracts = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    (layers,) = (c["layers"] for c in contracts["contracts"] if c["type"] == "layers")
    return {
        room: len(layers) - row
        for row, layer in enumerate(layers)
        for room in (name.strip() for name in layer.split("|"))
    }


def room_blocks(root: Path) -> dict[str, str]:
    """The imports of each room, and of each folder inside a room."""
    import grimp

    graph = grimp.build_graph("concerto_ros", cache_dir=None)
    by_room = floors(root)
    arrows: dict[str, set[str]] = {room: set() for room in by_room}
    siblings: dict[str, set[str]] = {}
    for module in sorted(graph.modules):
        room, *inner = module.split(".")[1:] or [""]
        folder = f"{room}/{inner[0]}" if inner else ""
        for imported in graph.find_modules_directly_imported_by(module):
            other, *other_inner = imported.split(".")[1:] or [""]
            if room in arrows and other in by_room and other != room:
                arrows[room].add(other)
            if other == room and folder and other_inner and other_inner[0] != inner[0]:
                siblings.setdefault(folder, set()).add(other_inner[0])
    package = root / "concerto_ros"
    rows = [
        (str(by_room[room]), code(named(package, room)), names(package, "", arrows[room]))
        for room in by_room
    ]
    inside = [
        (
            code(f"{room}/{folder.name}/"),
            prose(first_line(folder / "__init__.py")),
            names(package, room, siblings.get(f"{room}/{folder.name}", ())),
        )
        for room in by_room
        if (package / room).is_dir()
        for folder in sorted(path.parent for path in (package / room).glob("*/__init__.py"))
    ]
    return {
        "imports of rooms": table(("floor", "room", "imports"), rows),
        "folders in rooms": table(("folder", "what it holds", "imports of its room"), inside),
    }


def named(folder: Path, name: str) -> str:
    """A room or a module as its path."""
    return f"{name}/" if (folder / name).is_dir() else f"{name}.py"


def names(package: Path, room: str, imported: set[str]) -> str:
    """Names as paths, in alphabetical order."""
    return ", ".join(code(named(package / room, name)) for name in sorted(imported)) or "nothing"


def first_line(path: Path) -> str:
    """What a folder's docstring says first."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(docstring.split("\n\n")[0].split()).replace("``", "`")

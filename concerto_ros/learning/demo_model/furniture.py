# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which furniture library the simulated scenes of a training have."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from concerto_ros.learning.demo_model.recipe import Recipe
from concerto_ros.sim.library import FurnitureLibrary, find_folder


def furniture_folder(name: str | None) -> Path | None:
    """The folder of a furniture library.

    Args:
        name: A folder; ``none`` for no library; None for the one of Debian's package
            ``sweethome3d-furniture`` where it is installed.
    """
    if name == "none":
        return None
    return find_folder() if name is None else Path(name)


def furnished(recipe: Recipe, folder: Path | None) -> Recipe:
    """The recipe with scenes that are furnished from the library in ``folder``; None: without."""
    return replace(recipe, open_scans=partial(recipe.open_scans, furniture=folder))


def credits_table(library: FurnitureLibrary) -> str:
    """Whose models a library has, as a Markdown table: CC-BY asks to name all authors."""
    lines = ["| library | licence | models | authors |", "| --- | --- | ---: | --- |"]
    lines += [
        f"| {name} | {licence} | {count} | {', '.join(authors)} |"
        for name, licence, count, authors in library.credits()
    ]
    return "\n".join(lines)

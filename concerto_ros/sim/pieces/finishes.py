# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Colours that things have in homes and offices, and colours that say nothing.

Wood and white or grey lacquer for cabinets and tables, cloth and leather for seats, white linen
for beds: a model may learn these as hints. A quarter of all pieces get any colour instead, so that
it never relies on them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from concerto_ros.sim.mesh import CLASSES, Finish, Mesh
from concerto_ros.sim.pieces.furniture import BLACK, METAL, Rng, cloth, pick, wooden
from concerto_ros.sim.textures import TEXTURES

WHITE = Finish((0.92, 0.92, 0.91))
LEATHERS = ((0.10, 0.09, 0.09), (0.30, 0.17, 0.10), (0.52, 0.33, 0.20), (0.82, 0.78, 0.70))
LINENS = ((0.93, 0.93, 0.92), (0.86, 0.88, 0.90), (0.90, 0.86, 0.78), (0.55, 0.60, 0.68))
#: Classes that are recoloured. Screens, plants, cardboard and people keep their typical colours.
_ANY_COLOR = tuple(CLASSES.index(c) for c in ("table", "chair", "sofa", "bed", "cabinet"))


def any_color(rng: Rng, texture: str = "plain") -> Finish:
    """A finish of any colour, greys as often as strong colours."""
    grey, tint = rng.uniform(0.05, 0.95), rng.uniform(0, 0.35)
    return Finish(tuple(np.clip(grey + tint * rng.uniform(-1, 1, 3), 0.03, 0.97)), texture)


def lacquer(rng: Rng) -> Finish:
    """Wood, or the white, grey or black of painted furniture."""
    choice = rng.random()
    if choice < 0.55:
        return wooden(rng)
    if choice < 0.85:
        white = rng.uniform(0.84, 0.96)
        return Finish((white, white, white * rng.uniform(0.94, 1.0)))
    grey = rng.uniform(0.08, 0.6)
    return Finish((grey, grey, grey))


def upholstery(rng: Rng) -> Finish:
    """Cloth, or leather one time in four."""
    return Finish(pick(rng, LEATHERS)) if rng.random() < 0.25 else cloth(rng)


def linen(rng: Rng) -> Finish:
    """Bed linen: white or pale, one time in five of any colour."""
    texture = pick(rng, ("fabric", "fabric", "plain", "stripes", "pattern"))
    if rng.random() < 0.2:
        return any_color(rng, texture)
    return Finish(tuple(np.asarray(pick(rng, LINENS)) * rng.uniform(0.88, 1.03)), texture)


def metal(rng: Rng) -> Finish:
    """Steel, or black or white enamel."""
    return pick(rng, (METAL, METAL, BLACK, WHITE))


def recolored(mesh: Mesh, rng: Rng) -> Mesh:
    """Return furniture a little lighter or darker, or one time in four of any colours."""
    # A library's models bring their own colours, too many to change one by one.
    free = np.isin(mesh.label, _ANY_COLOR) & (mesh.texture != TEXTURES.index("photo"))
    if not free.any():
        return mesh
    palette, row = np.unique(mesh.color[free], axis=0, return_inverse=True)
    if rng.random() < 0.25:
        palette = np.array([any_color(rng).color for _ in palette])
    else:
        palette = palette * rng.uniform(0.75, 1.2) * rng.uniform(0.96, 1.04, palette.shape)
    color = mesh.color.copy()
    color[free] = np.clip(palette, 0.02, 0.98)[row.ravel()]
    return replace(mesh, color=color)

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What walls look like: paint, paper, tiles, brick, boards; wainscot, mouldings, skirting."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from concerto_ros.sim.mesh import Finish, Mesh, box, join, patch
from concerto_ros.sim.pieces.finishes import any_color
from concerto_ros.sim.pieces.furniture import Rng, pick, wooden
from concerto_ros.sim.rooms.openings import FRAME, Opening


@dataclass(frozen=True)
class WallStyle:
    """How the walls of a room are finished.

    Attributes:
        finish: of the wall, above the wainscot.
        lower: of the wainscot, None for none.
        rail: height of the wainscot, metres.
        skirting: height and thickness of the board at the floor, metres; (0, 0) for none.
        trim: finish of boards and mouldings.
        panels: width of the panels that mouldings frame, metres; 0 for none.
        crown: height of the moulding below the ceiling, metres; 0 for none.
    """

    finish: Finish
    lower: Finish | None
    rail: float
    skirting: tuple[float, float]
    trim: Finish
    panels: float
    crown: float


def paint(rng: Rng) -> tuple[float, float, float]:
    """The colour of a wall or ceiling: white six times in ten, else pale, seldom strong."""
    choice = rng.random()
    if choice < 0.6:
        white = rng.uniform(0.82, 0.96)
        return (white, white * rng.uniform(0.97, 1.0), white * rng.uniform(0.92, 1.0))
    if choice < 0.88:
        grey, tint = rng.uniform(0.55, 0.92), rng.uniform(0.02, 0.16)
        return tuple(np.clip(grey + tint * rng.uniform(-1, 1, 3), 0.05, 0.97))
    return any_color(rng).color


def draw_style(rng: Rng) -> WallStyle:
    """Draw the finish of a room's walls."""
    surface = str(
        rng.choice(("paint", "paper", "tiles", "brick", "wood"), p=(0.72, 0.1, 0.07, 0.05, 0.06))
    )
    color = paint(rng)
    if surface == "paint":
        finish = Finish(color, pick(rng, ("plaster", "plain")))
    elif surface == "paper":
        finish = Finish(color, pick(rng, ("stripes", "pattern", "fabric")))
    elif surface == "tiles":
        finish = Finish(color, "tiles")
    elif surface == "brick":
        red = np.array((0.58, 0.34, 0.26)) * rng.uniform(0.7, 1.3)
        finish = Finish(pick(rng, (tuple(np.clip(red, 0, 1)), color)), "brick")
    else:
        finish = Finish(wooden(rng).color, pick(rng, ("boards", "wood", "planks")))
    lower: Finish | None = None
    if rng.random() < 0.15:
        tint = Finish(paint(rng), pick(rng, ("plain", "tiles", "boards")))
        lower = pick(rng, (tint, wooden(rng), FRAME))
    board = (0.0, 0.0)
    if rng.random() < 0.8:
        board = (rng.uniform(0.04, 0.16), rng.uniform(0.006, 0.02))
    return WallStyle(
        finish,
        lower,
        rng.uniform(0.75, 1.5),
        board,
        pick(rng, (FRAME, FRAME, finish, wooden(rng), any_color(rng))),
        rng.uniform(0.45, 1.1) if rng.random() < 0.1 else 0.0,
        rng.uniform(0.04, 0.12) if rng.random() < 0.15 else 0.0,
    )


def finished_wall(length: float, height: float, holes: list[Opening], style: WallStyle) -> Mesh:
    """Build a wall's face round its holes, in its frame: x along it, y into the room."""
    parts, at = [], 0.0
    for hole in [*holes, None]:
        end = hole.start if hole else length
        parts += _stretch(at, end, 0.0, height, style)
        if hole:
            parts += _stretch(hole.start, hole.end, 0.0, hole.low, style)
            parts += _stretch(hole.start, hole.end, hole.high, height, style)
            at = hole.end
    if style.crown:
        size = (length, 0.03, style.crown)
        parts.append(box(size, (length / 2, 0.015, height - style.crown / 2), style.trim, "wall"))
    return join(*parts)


def _stretch(start: float, end: float, low: float, high: float, style: WallStyle) -> list[Mesh]:
    """A rectangle of the wall with its boards."""
    wide, mid = end - start, (start + end) / 2
    if wide < 1e-6 or high - low < 1e-6:
        return []
    cuts = [low, high]
    if style.lower is not None and low < style.rail < high:
        cuts.insert(1, style.rail)
    parts = []
    for bottom, top in zip(cuts[:-1], cuts[1:], strict=True):
        below = style.lower is not None and top <= style.rail + 1e-6
        finish = style.lower if below and style.lower is not None else style.finish
        parts.append(
            patch((end, 0.0, bottom), (-wide, 0, 0), (0, 0, top - bottom), finish, "wall")
        )
    if len(cuts) == 3:
        parts.append(box((wide, 0.02, 0.05), (mid, 0.01, style.rail), style.trim, "wall"))
    tall, thick = style.skirting
    if tall and low == 0.0 and high > tall:
        parts.append(box((wide, thick, tall), (mid, thick / 2, tall / 2), style.trim, "wall"))
    if style.panels and low == 0.0 and high > 1.9 and wide > 0.4:
        count = max(1, round(wide / style.panels))
        cell, top = wide / count, min(high - 0.15, 2.3)
        for i in range(count):
            parts.append(_moulding(start + (i + 0.5) * cell, cell - 0.12, 0.2, top, style.trim))
    return parts


def _moulding(x: float, wide: float, low: float, high: float, finish: Finish) -> Mesh:
    """A flat frame on the wall: a panel, which looks like that of a door."""
    edge = 0.035
    parts = [
        box(
            (edge, 0.014, high - low),
            (x + side * wide / 2, 0.007, (low + high) / 2),
            finish,
            "wall",
        )
        for side in (-1, 1)
    ]
    parts += [box((wide, 0.014, edge), (x, 0.007, z), finish, "wall") for z in (low, high)]
    return join(*parts)

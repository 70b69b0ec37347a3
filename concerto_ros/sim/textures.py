# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Procedural surface patterns: square tiles that repeat seamlessly."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

TEXTURES = (
    "plain",
    "plaster",
    "wood",
    "planks",
    "tiles",
    "carpet",
    "fabric",
    "stripes",
    "pattern",
    "text",
    "picture",
    "photo",
    "brick",
    "boards",
)

#: Pixels along a tile's edge (a power of two, so that repeating is a bit mask).
TILE = 512
#: Metres per pixel of a tile: one tile spans 1.28 m.
TEXEL = 0.0025
#: A tile's value that leaves the colour of the surface as it is.
NEUTRAL = 128


@lru_cache(maxsize=1)
def tiles() -> np.ndarray:
    """Return the brightness of every texture, (len(TEXTURES), TILE, TILE) uint8, ``NEUTRAL`` is 1.

    Axis 1 runs across the texture (v), axis 2 along it (u).
    """
    rng = np.random.default_rng(20260)
    bank = np.stack([_PATTERNS[name](rng) for name in TEXTURES])
    bank = np.clip(bank * NEUTRAL, 0, 255).astype(np.uint8)
    bank.setflags(write=False)
    return bank


def _noise(rng: np.random.Generator, along: float, across: float) -> np.ndarray:
    """Return periodic smooth noise of unit deviation; the sizes of features are in pixels."""
    spectrum = np.fft.rfft2(rng.standard_normal((TILE, TILE)))
    fu, fv = np.fft.rfftfreq(TILE)[None], np.fft.fftfreq(TILE)[:, None]
    spectrum *= np.exp(-2 * np.pi**2 * ((fu * along) ** 2 + (fv * across) ** 2))
    spectrum[0, 0] = 0.0
    smooth = np.fft.irfft2(spectrum, s=(TILE, TILE))
    return smooth / smooth.std()


def _plain(rng: np.random.Generator) -> np.ndarray:
    return 1 + 0.012 * _noise(rng, 30, 30) + 0.008 * _noise(rng, 2, 2)


def _plaster(rng: np.random.Generator) -> np.ndarray:
    return 1 + 0.008 * _noise(rng, 60, 60) + 0.015 * _noise(rng, 3, 3)


def _wood(rng: np.random.Generator) -> np.ndarray:
    return 1 + 0.07 * _noise(rng, 70, 1.5) + 0.06 * _noise(rng, 90, 9)


def _planks(rng: np.random.Generator) -> np.ndarray:
    """Boards of 16 cm, each with its own shade and butt joints."""
    value = _wood(rng)
    rows, columns = np.mgrid[0:TILE, 0:TILE]
    board = rows // 64
    joint = rng.integers(0, TILE, TILE // 64)[board]
    half = ((columns - joint) % TILE) // (TILE // 2)
    value = value * (1 + 0.09 * rng.standard_normal((TILE // 64, 2)))[board, half]
    seam = (rows % 64 < 2) | ((columns - joint) % (TILE // 2) < 2)
    return np.where(seam, 0.55 * value, value)


def _tiles(rng: np.random.Generator) -> np.ndarray:
    """Ceramic tiles of 32 cm with light grout."""
    rows, columns = np.mgrid[0:TILE, 0:TILE]
    shade = 1 + 0.04 * rng.standard_normal((4, 4))[rows // 128, columns // 128]
    grout = (rows % 128 < 3) | (columns % 128 < 3)
    return np.where(grout, 1.25, shade + 0.02 * _noise(rng, 12, 12))


def _carpet(rng: np.random.Generator) -> np.ndarray:
    return 1 + 0.10 * _noise(rng, 1.5, 1.5) + 0.05 * _noise(rng, 40, 40)


def _fabric(rng: np.random.Generator) -> np.ndarray:
    rows, columns = np.mgrid[0:TILE, 0:TILE]
    weave = np.sin(2 * np.pi * rows / 8) * np.sin(2 * np.pi * columns / 8)
    return 1 + 0.05 * weave + 0.05 * _noise(rng, 4, 4) + 0.04 * _noise(rng, 50, 50)


def _stripes(rng: np.random.Generator) -> np.ndarray:
    columns = np.mgrid[0:TILE, 0:TILE][1]
    return 1 + 0.10 * np.sign(np.sin(2 * np.pi * columns / 64)) + 0.02 * _noise(rng, 3, 3)


def _pattern(rng: np.random.Generator) -> np.ndarray:
    """Diamonds, as woven into rugs and covers."""
    rows, columns = np.mgrid[0:TILE, 0:TILE]
    across = np.abs(rows % 64 - 32) + np.abs(columns % 64 - 32)
    ring = np.where(across < 10, 1.35, np.where(across < 20, 0.75, 1.0))
    return ring * (1 + 0.06 * _noise(rng, 1.5, 1.5))


def _text(rng: np.random.Generator) -> np.ndarray:
    """Lines of writing, as a page or a screen shows them from afar."""
    rows, columns = np.mgrid[0:TILE, 0:TILE]
    line = rows // 8
    inside = (columns % 128 > 6) & (columns % 128 < rng.integers(50, 120, TILE // 8)[line])
    letters = rng.random((TILE // 8, TILE // 3 + 1))[line, columns // 3] > 0.3
    return np.where(inside & letters & (rows % 8 < 4), 0.35, 1.3)


def _picture(rng: np.random.Generator) -> np.ndarray:
    soft = _noise(rng, 45, 30)
    return 1 + 0.35 * np.tanh(2 * soft) + 0.2 * _noise(rng, 12, 12)


def _photo(rng: np.random.Generator) -> np.ndarray:
    """Nothing: the colours of the triangles are a picture's own."""
    return np.ones((TILE, TILE))


def _brick(rng: np.random.Generator) -> np.ndarray:
    """Courses of bricks of 32 by 8 cm; along u they run, as the longer edge of a wall does."""
    rows, columns = np.mgrid[0:TILE, 0:TILE]
    course = rows // 32
    at = columns + 64 * (course % 2)
    shade = (1 + 0.16 * rng.standard_normal((TILE // 32, 5)))[course, at // 128]
    joint = (rows % 32 < 4) | (at % 128 < 4)
    return np.where(joint, 1.3, 0.96 * shade + 0.05 * _noise(rng, 2, 2))


def _boards(rng: np.random.Generator) -> np.ndarray:
    """Narrow boards side by side, with dark joints."""
    rows = np.mgrid[0:TILE, 0:TILE][0]
    return np.where(rows % 32 < 2, 0.6, 1.02 + 0.5 * (_wood(rng) - 1))


_PATTERNS = {
    "plain": _plain,
    "plaster": _plaster,
    "wood": _wood,
    "planks": _planks,
    "tiles": _tiles,
    "carpet": _carpet,
    "fabric": _fabric,
    "stripes": _stripes,
    "pattern": _pattern,
    "text": _text,
    "picture": _picture,
    "photo": _photo,
    "brick": _brick,
    "boards": _boards,
}

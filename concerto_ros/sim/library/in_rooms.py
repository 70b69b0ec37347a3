# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The seam between rooms and a furniture library: a builder may hand out a library's piece.

A room names its library once, with :func:`furnished_from`; the builders of pieces say by
:func:`or_from_library` what kinds of models may stand in for theirs. So the plan of a room knows
nothing of libraries, and without one every builder does what it says, number for number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from functools import wraps

import numpy as np

from concerto_ros.sim.library.library import FurnitureLibrary, Piece, mesh_of
from concerto_ros.sim.mesh import CLASSES, Mesh

#: Share of the pieces that come from the library where it has models enough of the kind; of fewer
#: a smaller share: two monitors must not crowd out the many that a builder makes.
SHARE, ENOUGH = 0.6, 6
#: Kinds that things are put on: a model needs a flat top for it, of this share of its outline.
TOPS, LEAST_TOP = ("desk", "dining table", "coffee table"), 0.65
#: Classes that come in all colours.
_ANY_COLOR = ("table", "chair", "sofa", "bed", "cabinet")

_library: ContextVar[FurnitureLibrary | None] = ContextVar("furniture library", default=None)

Builder = Callable[..., Mesh]


@contextmanager
def furnished_from(library: FurnitureLibrary | None) -> Iterator[None]:
    """Let builders hand out pieces of ``library`` within this context; None: none."""
    token = _library.set(library)
    try:
        yield
    finally:
        _library.reset(token)


def models_of(*kinds: str) -> list[Piece]:
    """The models of some kinds in the library of the room that is being furnished.

    Tables without a flat top are left out: things are put on them.
    """
    library = _library.get()
    if library is None:
        return []
    return [
        piece
        for kind in kinds
        for piece in library.of_kind(kind)
        if kind not in TOPS or piece.flat_top >= LEAST_TOP
    ]


def drawn(rng: np.random.Generator, kinds: Sequence[str], share: float = SHARE) -> Piece | None:
    """A model of some kinds instead of a built piece.

    Args:
        rng: The random generator; it is used only where there is a choice.
        kinds: The kinds, as in ``kinds.yaml``.
        share: How often, where there are :data:`ENOUGH` models.

    Returns:
        The model; None in the other cases.
    """
    models = models_of(*kinds)
    if not models or rng.random() > share * min(1.0, len(models) / ENOUGH):
        return None
    return models[int(rng.integers(len(models)))]


def or_from_library(
    *kinds: str, then: Callable[[Mesh, np.random.Generator], Mesh] | None = None
) -> Callable[[Builder], Builder]:
    """Let a library's models of some ``kinds`` stand in for what a builder makes.

    Args:
        kinds: The kinds, as in ``kinds.yaml``.
        then: What is done with a model before it is handed out.
    """

    def decorate(build: Builder) -> Builder:
        @wraps(build)
        def build_or_take(rng: np.random.Generator, *args, **options) -> Mesh:
            piece = drawn(rng, kinds)
            if piece is None:
                return build(rng, *args, **options)
            model = taken(piece, rng)
            return model if then is None else then(model, rng)

        return build_or_take

    return decorate


def taken(piece: Piece, rng: np.random.Generator) -> Mesh:
    """A piece in a size of its own, and half of the time in colours of its own."""
    shape = piece.shape()
    mesh = mesh_of(shape, piece.kind, CLASSES).called(piece.name)
    if piece.kind.class_name != "person":
        mesh = mesh.transformed(np.diag(rng.uniform(0.93, 1.07, 3)), (0, 0, 0))
    if piece.kind.class_name not in _ANY_COLOR or rng.random() < 0.5:
        return mesh
    color = mesh.color.copy()
    for part in range(len(shape.materials)):
        rows = shape.part == part
        if rows.any() and rng.random() < 0.7:
            color[rows] = _recolored(color[rows], rng)
    return replace(mesh, color=color)


def _recolored(color: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another colour for a material, its pattern kept; (T, 3) in 0..1."""
    middle = color.mean(0)
    if rng.random() < 0.4:
        wanted = rng.uniform(0.05, 0.95) + rng.uniform(0, 0.35) * rng.uniform(-1, 1, 3)
    else:
        wanted = middle * rng.uniform(0.5, 1.4) + rng.normal(0, 0.06, 3)
    return np.clip(wanted + (color - middle) * rng.uniform(0.5, 1.2), 0.02, 0.98)

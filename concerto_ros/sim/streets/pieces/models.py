# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Vehicles, people, plants and street furniture of a furniture library."""

from __future__ import annotations

import numpy as np

from concerto_ros.sim.library.in_rooms import SHARE, drawn
from concerto_ros.sim.mesh import rotation_about
from concerto_ros.sim.streets.shapes import CLASSES, Solid


def drawn_model(rng: np.random.Generator, *kinds: str, share: float = SHARE) -> Solid | None:
    """A model for a builder to hand out instead of its own, more often than not.

    Args:
        rng: for the choice, its size and how well it reflects; used only where there is a choice.
        kinds: kinds of models, as in ``kinds.yaml`` of :mod:`concerto_ros.sim.library`.
        share: how often, where there are models enough.

    Returns:
        The model round the origin, on z = 0, its front towards +x; None where the street has no
        library with such a model, and in the other cases.
    """
    piece = drawn(rng, kinds, share)
    if piece is None:
        return None
    mesh = piece.mesh(CLASSES)
    size = rng.uniform(0.93, 1.07) * rng.uniform(0.97, 1.03, 3)
    size[1] *= rng.choice([-1, 1])  # the mirror image
    low, high = mesh.bounds()
    corners = mesh.corners - np.array([0, (low[1] + high[1]) / 2, 0], np.float32)
    # Paint scatters the more light the lighter it is; what a colour says of that is little.
    reflectance = np.clip(mesh.color.mean(1) * rng.uniform(0.5, 1.0) + 0.05, 0.04, 0.85)
    solid = Solid(
        corners,
        mesh.label,
        np.rint(mesh.color * 255).astype(np.uint8),
        np.column_stack([reflectance, *np.zeros((2, len(mesh)))]).astype(np.float32),
    )
    return solid.turned(np.diag(size) @ rotation_about("z", -np.pi / 2))

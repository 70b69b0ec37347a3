# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Separation of flat objects on a table, such as papers, from what stands beside or on them."""

from __future__ import annotations

import numpy as np

from concerto_ros.objects.finding.components import absorb_fragments, connected_components

#: A column of voxels that is at most this many voxels above the top is flat.
FLAT = 2.5

#: A standing part that touches the flat one with at least this share of its own footprint is the
#: same object, as a lamp on its foot and the lid of a laptop at its keys.
ROOTED = 0.5


def divide_flat(
    index: np.ndarray, over: np.ndarray, part: np.ndarray, pairs: np.ndarray, min_voxels: int
) -> np.ndarray:
    """Divide objects on tops into flat and standing ones where these barely touch.

    Both parts need ``min_voxels`` voxels. A flat and a standing part stay one object if they touch
    along the side of a square as large as the flat part, or as described at :data:`ROOTED`.

    Args:
        index: (V, 3) lattice indices.
        over: (V,) height above the top in voxels.
        part: (V,) the object of each voxel, the number of one of its rows, or -1.
        pairs: (P, 2) touching rows of the same object.
        min_voxels: Fewest voxels of a part.

    Returns:
        (V,) objects, again numbers of rows or -1.
    """
    inside = part >= 0
    if not inside.any():
        return part
    column = np.full(len(part), -1)
    keys = np.column_stack([part[inside], index[inside, :2]])
    column[inside] = np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1)
    highest = np.full(column.max() + 1, -np.inf)
    np.maximum.at(highest, column[inside], over[inside])
    stands = inside & (highest > FLAT)[column]
    alike = pairs[stands[pairs[:, 0]] == stands[pairs[:, 1]]]
    piece = absorb_fragments(connected_components(len(part), alike), pairs, min_voxels)
    low = inside & (over <= FLAT)
    touching = pairs[piece[pairs[:, 0]] != piece[pairs[:, 1]]]
    joined = [
        (flat, standing)
        for flat, standing in _contacts(piece[touching], stands)
        if _one_thing(piece, column, low, touching, flat, standing)
    ]
    piece = connected_components(len(part), np.array(joined, np.int64).reshape(-1, 2))[piece]
    return np.where(inside, piece, -1)


def _contacts(pieces: np.ndarray, stands: np.ndarray) -> list[tuple[int, int]]:
    """Return each pair of touching pieces of (P, 2) once, the flat one first."""
    found = np.unique(np.sort(pieces, axis=1), axis=0)
    return [(one, other) if stands[other] else (other, one) for one, other in found.tolist()]


def _one_thing(
    piece: np.ndarray,
    column: np.ndarray,
    low: np.ndarray,
    touching: np.ndarray,
    flat: int,
    standing: int,
) -> bool:
    """Return whether a flat and a standing piece touch along enough columns of either."""
    both = np.concatenate([touching, touching[:, ::-1]])
    both = both[(piece[both[:, 0]] == flat) & (piece[both[:, 1]] == standing)]
    flat_contact, standing_contact = (len(np.unique(column[rows])) for rows in both.T)
    ground = len(np.unique(column[piece == flat]))
    footing = len(np.unique(column[(piece == standing) & low]))
    return flat_contact >= np.sqrt(ground) or standing_contact >= ROOTED * max(footing, 1)

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Connected components of voxels, and their division where they are barely connected."""

from __future__ import annotations

import itertools

import numpy as np

from concerto_ros.mapping.voxel_grid import find_keys, pack

#: Half of the 26 neighbours of a voxel; the other half are those of which it is the neighbour.
_FORWARD = [step for step in itertools.product((-1, 0, 1), repeat=3) if step > (0, 0, 0)]

#: A voxel with at least this many of its 26 neighbours belongs to a body. Within a flat sheet a
#: voxel has eight, in a strip of two voxels' width five.
BODY_NEIGHBOURS = 6

#: Bodies that share this much of the smaller one's footprint are parts of one object, as the seat
#: and the back of a chair are.
SHARED_GROUND = 0.5


def neighbour_pairs(index: np.ndarray) -> np.ndarray:
    """Find the pairs of touching voxels among (V, 3) distinct lattice indices.

    Voxels touch by a face, an edge or a corner (26-neighbourhood).

    Returns:
        (P, 2) int64 rows, each pair once.
    """
    keys = pack(index)
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    corner = pack(np.zeros((1, 3), np.int64))[0]
    pairs = [np.zeros((0, 2), np.int64)]
    for step in _FORWARD:
        # The packed key is linear in the index.
        found = find_keys(keys, keys + (pack(np.array([step]))[0] - corner))
        here = np.flatnonzero(found >= 0)
        pairs.append(np.stack([order[here], order[found[here]]], axis=1))
    return np.concatenate(pairs)


def connected_components(size: int, pairs: np.ndarray) -> np.ndarray:
    """Label connected components.

    Trees of rows are hooked onto each other, the larger root under the smaller, and flattened
    (Shiloach and Vishkin, An O(log n) parallel connectivity algorithm, 1982).

    Args:
        size: Number of rows.
        pairs: (P, 2) connected rows.

    Returns:
        (size,) int64: for each row the smallest row that it is connected with.
    """
    root = np.arange(size)
    first, second = root[pairs[:, 0]], root[pairs[:, 1]]
    while len(first):
        np.minimum.at(root, np.maximum(first, second), np.minimum(first, second))
        while True:
            above = root[root]
            if (above == root).all():
                break
            root = above
        first, second = root[first], root[second]
        apart = first != second
        first, second = first[apart], second[apart]
    return root


def split_thin(
    index: np.ndarray, part: np.ndarray, pairs: np.ndarray, min_voxels: int
) -> np.ndarray:
    """Divide segments where they are barely connected: erode, divide, grow back.

    A segment is divided if erosion leaves at least two bodies of ``min_voxels`` voxels that stand
    beside, not above each other.

    Args:
        index: (V, 3) lattice indices.
        part: (V,) the segment of each voxel, the number of one of its rows.
        pairs: (P, 2) touching rows of the same segment.
        min_voxels: Fewest voxels of a body.

    Returns:
        (V,) segments, again numbers of rows.
    """
    size = len(index)
    body = np.bincount(pairs.ravel(), minlength=size) >= BODY_NEIGHBOURS
    inner = pairs[body[pairs].all(axis=1)]
    core = np.where(body, connected_components(size, inner), -1)
    seeds, count = np.unique(core[body], return_counts=True)
    seeds = seeds[count >= min_voxels]
    if len(seeds) < 2:
        return part
    core = np.where(find_keys(seeds, core) >= 0, core, -1)
    joined = seeds[_join_stacked(index, part, core, seeds)]
    grown = np.where(core >= 0, joined[find_keys(seeds, core)], -1)
    grown = _grow(grown, pairs)
    return np.where(grown >= 0, grown, part)


def absorb_fragments(part: np.ndarray, pairs: np.ndarray, min_voxels: int) -> np.ndarray:
    """Merge segments of fewer than ``min_voxels`` voxels into the larger one they touch most.

    Args:
        part: (V,) the segment of each voxel, the number of one of its rows.
        pairs: (P, 2) touching rows.
        min_voxels: Segments with as many voxels are kept.

    Returns:
        (V,) segments, again numbers of rows.
    """
    kept = np.bincount(part, minlength=len(part))[part] >= min_voxels
    both = np.concatenate([pairs, pairs[:, ::-1]])
    both = both[~kept[both[:, 0]] & kept[both[:, 1]]]
    contacts, count = np.unique(part[both], axis=0, return_counts=True)
    # The most contacts last for each fragment; of equal ones the smallest segment.
    order = np.lexsort((-contacts[:, 1], count, contacts[:, 0]))
    into = np.arange(len(part))
    into[contacts[order, 0]] = contacts[order, 1]
    return into[part]


def _grow(grown: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Copy the smallest number of the neighbours to rows at -1, ring by ring."""
    unset = np.iinfo(np.int64).max
    grown = np.where(grown >= 0, grown, unset)
    both = np.concatenate([pairs, pairs[:, ::-1]])
    while True:
        both = both[grown[both[:, 0]] == unset]
        ready = grown[both[:, 1]] < unset
        if not ready.any():
            return np.where(grown == unset, -1, grown)
        to, source = both[ready].T
        np.minimum.at(grown, to, grown[source].copy())


def _join_stacked(
    index: np.ndarray, part: np.ndarray, core: np.ndarray, seeds: np.ndarray
) -> np.ndarray:
    """Return (S,) for each seed the first of the seeds that is the same object."""
    low = np.full((len(seeds), 2), np.iinfo(np.int64).max)
    high = np.full((len(seeds), 2), np.iinfo(np.int64).min)
    rows = np.flatnonzero(core >= 0)
    seed = find_keys(seeds, core[rows])
    ground = index[rows, :2].astype(np.int64)
    np.minimum.at(low, seed, ground)
    np.maximum.at(high, seed, ground + 1)
    shared = np.minimum(high[:, None], high) - np.maximum(low[:, None], low)
    shared = shared.clip(0).prod(axis=2)
    area = (high - low).prod(axis=1)
    stacked = shared >= SHARED_GROUND * np.minimum(area[:, None], area)
    stacked &= part[seeds][:, None] == part[seeds]
    return connected_components(len(seeds), np.argwhere(stacked))

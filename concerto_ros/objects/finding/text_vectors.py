# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The vectors of objects in the text space of a language head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from concerto_ros.heads.language import LanguageHead
from concerto_ros.mapping.voxel_grid import find_keys
from concerto_ros.objects.finding.finder import FoundObject

#: At most this many voxels of an object are looked at, evenly spaced.
MAX_VOXELS = 64


def rows_of_objects(objects: Sequence[FoundObject], keys: np.ndarray) -> list[np.ndarray]:
    """Choose voxels of objects in a map that may be newer than theirs.

    Args:
        objects: The objects.
        keys: (V,) ascending packed lattice indices of the map.

    Returns:
        Rows (n,) of the map for each object, at most :data:`MAX_VOXELS`; none for an object that
        left the map.
    """
    chosen = []
    for found in objects:
        rows = find_keys(keys, found.track.keys)
        rows = rows[rows >= 0]
        chosen.append(rows[:: max(1, -(-len(rows) // MAX_VOXELS))])
    return chosen


@torch.inference_mode()
def with_text_vectors(
    objects: Sequence[FoundObject],
    features: torch.Tensor,
    counts: Sequence[int],
    head: LanguageHead,
) -> list[FoundObject]:
    """Return the objects with their vectors: the mean of those of their voxels, of length one.

    Args:
        objects: The objects.
        features: (n, C) features of all levels of the encoder, one object after the other.
        counts: How many rows each object has; an object without any gets no vector, as does one
            whose features are not finite.
        head: Maps features into the text space.
    """
    vectors = head.vectors(features[:, -head.in_channels :].float().cpu())
    described = []
    for found, own in zip(objects, vectors.split(list(counts)), strict=True):
        vector = torch.nn.functional.normalize(own.mean(dim=0), dim=0)
        known = len(own) and bool(vector.isfinite().all())
        described.append(replace(found, text_vector=vector.numpy() if known else None))
    return described

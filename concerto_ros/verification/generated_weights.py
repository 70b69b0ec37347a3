# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Weights generated from names alone, so that cases of official size need no weight file.

Every tensor is a function of its name, its shape and a seed: numpy's Mersenne Twister
(``RandomState``), seeded with the CRC-32 of the name plus 1000003 times the seed, gives numbers
that are scaled by a rule for the last part of the name.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import torch


def recipe_state(shapes: Mapping[str, Sequence[int]], seed: int) -> dict[str, torch.Tensor]:
    """Generate a state dict with these names and shapes."""
    return {
        name: torch.from_numpy(np.asarray(recipe_value(name, shape, seed)))
        for name, shape in shapes.items()
    }


def recipe_value(name: str, shape: Sequence[int], seed: int) -> np.ndarray:
    """Generate one tensor as an array of ``shape``: float32, or int64 for a count of batches."""
    draw = np.random.RandomState((zlib.crc32(name.encode()) + 1000003 * seed) % 2**32)
    shape = tuple(shape)
    last = name.rpartition(".")[2]
    if last == "num_batches_tracked":
        return np.array(100, np.int64)
    if last == "running_var":
        values = 0.5 + draw.rand(*shape)
    elif last == "logit_scale":
        values = np.log(1 / 0.07) + 0.1 * draw.randn()
    else:
        centre, spread = _normal_of(last, shape)
        values = centre + spread * draw.randn(*shape)
    return np.asarray(values, np.float32)


def _normal_of(last: str, shape: tuple[int, ...]) -> tuple[float, float]:
    """Return mean and standard deviation for the last part of a name."""
    if last == "running_mean":
        return 0.0, 0.1
    if "token" in last or last.endswith("_pos") or last.startswith("pos"):
        return 0.0, 0.5
    if len(shape) == 1:
        return (1.0, 0.1) if last in ("weight", "gamma") else (0.0, 0.05)
    return 0.0, 1 / np.sqrt(np.prod(shape[1:]))

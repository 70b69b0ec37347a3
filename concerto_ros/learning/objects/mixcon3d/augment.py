# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The augmentation of OpenShape and MixCon3D: dropped points, scale, shift, turns, no colour."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

#: Largest share of the points that is dropped.
DROPOUT = 0.875

#: Bounds of the scale, and of the shift of each axis, in the unit of the clouds.
SCALE, SHIFT = (0.8, 1.25), 0.1

#: Standard deviation and bound of the small turns about each axis, radians.
TURN, LARGEST_TURN = 0.06, 0.18

#: Probability that a cloud loses its colours.
NO_COLOR_SHARE = 0.5


@dataclass(frozen=True, eq=False)
class Draws:
    """The random numbers of one cloud of N points, in the order in which they are used.

    Attributes:
        ratio: 0 to 1, of :data:`DROPOUT`.
        points: (N,) 0 to 1; those up to the ratio are dropped.
        scale: Factor of all axes.
        shift: (3,).
        turns: (3,) standard normal numbers, of the small turns about x, y and z.
        angle: Radians about z.
    """

    ratio: float
    points: np.ndarray
    scale: float
    shift: np.ndarray
    turns: np.ndarray
    angle: float

    @classmethod
    def random(cls, count: int, rng: np.random.Generator) -> Draws:
        """Draw the numbers for a cloud of ``count`` points."""
        return cls(
            rng.random(),
            rng.random(count),
            rng.uniform(*SCALE),
            rng.uniform(-SHIFT, SHIFT, 3),
            rng.standard_normal(3),
            rng.uniform(0, 2 * math.pi),
        )


def augmented(points: torch.Tensor, draws: Draws) -> torch.Tensor:
    """Change (N, 3) points of a unit sphere with z up; float64 inside, the type is kept.

    As published, a dropped point moves to the first one, and the result is not of unit size.
    """
    cloud = points.double()
    dropped = torch.from_numpy(draws.points <= DROPOUT * draws.ratio).to(cloud.device)
    cloud = torch.where(dropped[:, None], cloud[:1], cloud)
    cloud = cloud * draws.scale + torch.as_tensor(draws.shift, device=cloud.device)
    about_x, about_y, about_z = np.clip(TURN * draws.turns, -LARGEST_TURN, LARGEST_TURN)
    small = _rotation(2, about_z) @ _rotation(1, about_y) @ _rotation(0, about_x)
    turn = small @ _rotation(2, draws.angle)  # rows times matrices: the small turns come first
    return (cloud @ torch.from_numpy(turn).to(cloud.device)).to(points.dtype)


def _rotation(axis: int, angle: float) -> np.ndarray:
    """Return the (3, 3) right-handed rotation of columns about an axis."""
    after, last = (axis + 1) % 3, (axis + 2) % 3
    matrix = np.eye(3)
    matrix[after, after] = matrix[last, last] = math.cos(angle)
    matrix[last, after] = math.sin(angle)
    matrix[after, last] = -math.sin(angle)
    return matrix

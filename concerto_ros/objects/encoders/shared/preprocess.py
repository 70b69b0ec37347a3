# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From an object segmented in a map to the input that an object encoder was trained on.

A robot's clouds are in metres with z up (REP-103). The encoders know objects of about unit size,
most of them with y up, as a fixed number of points.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from concerto_ros.objects.encoders.shared.sampling import farthest_point_sampling

#: Fewer distinct points than this do not show a shape.
MIN_POINTS = 16

#: Radius under which a cloud has no shape: MixCon3D's limit, in the unit of the cloud.
MIN_RADIUS = 1e-6

#: The colour of MixCon3D's training data where none was known.
NO_COLOR = 0.4


@dataclass(frozen=True)
class InputForm:
    """The input that an encoder takes.

    Attributes:
        points: Points of an object.
        color: Whether red, green and blue in 0..1 follow x, y and z.
        swapped: Whether y and z are exchanged after the turn to y up, as in the data of OpenShape:
            up is z again, and the object is mirrored.
        farthest: Choose points by farthest point sampling; else at random with a fixed seed.
        skip_near_origin: The rule of that sampling, see
            :func:`~concerto_ros.objects.encoders.shared.sampling.farthest_point_sampling`.
        centred: Whether clouds of data sets are moved to mean zero; those of a robot always are.
        size_power: The radius of the cloud is the object's own in metres to this power. With 0, as
            published, it is 1 whatever the size; between 0 and 1 the size shows, but less.
    """

    points: int
    color: bool = False
    swapped: bool = False
    farthest: bool = True
    skip_near_origin: bool = True
    centred: bool = False
    size_power: float = 0.0


def prepare_object(points: np.ndarray, colors: np.ndarray | None, form: InputForm) -> torch.Tensor:
    """Prepare one object as an encoder takes it: (n, 3) or, with colour, (n, 6) float32.

    Too few points are repeated cyclically, too many are thinned out, always in the same way.

    Args:
        points: (N, 3) metres, z up, anywhere in a frame of the robot.
        colors: (N, 3) 0..255; None for no colour.
        form: The input that the encoder takes.

    Raises:
        ValueError: If the shapes do not match, values are not finite, fewer than
            :data:`MIN_POINTS` points are distinct, or all points coincide.
    """
    _check(points, colors)
    points = np.asarray(points, np.float64)
    # Subtracted in float64: far from the origin of a map, float32 has no millimetres.
    points = points - points.mean(0)
    cloud = unit_sphere(torch.from_numpy(to_y_up(points)).float())
    if form.size_power:
        cloud = cloud * float(np.linalg.norm(points, axis=1).max()) ** form.size_power
    if form.swapped:
        cloud = swap_up(cloud)
    rows = _choose(cloud, form)
    cloud = cloud[rows]
    if not form.color:
        return cloud
    if colors is None:
        return torch.cat([cloud, torch.full_like(cloud, NO_COLOR)], 1)
    return torch.cat([cloud, torch.from_numpy(np.asarray(colors, np.float32))[rows] / 255], 1)


def to_y_up(points: np.ndarray) -> np.ndarray:
    """Turn (N, 3) points with z up about x so that y is up."""
    return np.stack([points[:, 0], points[:, 2], -points[:, 1]], 1)


def swap_up(points: torch.Tensor) -> torch.Tensor:
    """Exchange y and z of (..., 3) points, as OpenShape reads files with y up."""
    return points[..., [0, 2, 1]]


def unit_sphere(points: torch.Tensor) -> torch.Tensor:
    """Move (..., N, 3) to mean zero and scale to radius one; zeros where all points coincide."""
    centred = points - points.mean(-2, keepdim=True)
    radius = torch.linalg.vector_norm(centred, dim=-1).amax(-1)[..., None, None]
    return torch.where(radius < MIN_RADIUS, 0.0, centred / radius.clamp_min(MIN_RADIUS))


def _choose(cloud: torch.Tensor, form: InputForm) -> torch.Tensor:
    """(n,) rows."""
    total = len(cloud)
    if total <= form.points:
        return torch.arange(form.points) % total
    if form.farthest:
        return farthest_point_sampling(
            cloud.unsqueeze(0), form.points, skip_near_origin=form.skip_near_origin
        )[0]
    generator = np.random.default_rng(0)
    return torch.from_numpy(np.sort(generator.permutation(total)[: form.points]))


def _check(points: np.ndarray, colors: np.ndarray | None) -> None:
    points = np.asarray(points)
    if points.ndim != 2 or points.shape[1] != 3:
        raise ValueError(f"points have shape {points.shape}, expected (N, 3)")
    if colors is not None and np.shape(colors) != points.shape:
        raise ValueError(f"colors have shape {np.shape(colors)}, expected {points.shape}")
    bad = np.count_nonzero(~np.isfinite(points).all(1))
    if bad:
        raise ValueError(f"points: {bad} of {len(points)} are not finite, expected none")
    if len(points) and np.ptp(points, axis=0).max() < MIN_RADIUS:
        raise ValueError(f"points: all {len(points)} coincide, expected an object with a size")
    distinct = _distinct(points)
    if distinct < MIN_POINTS:
        raise ValueError(f"points: got {distinct} distinct points, expected at least {MIN_POINTS}")


def _distinct(points: np.ndarray) -> int:
    """Count distinct points, at least as far as :data:`MIN_POINTS`."""
    for step in (max(len(points) // 64, 1), 1):  # a few of many are distinct enough mostly
        distinct = len(np.unique(points[::step], axis=0))
        if distinct >= MIN_POINTS:
            break
    return distinct

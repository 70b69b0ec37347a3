# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What points up in the frame of poses that do not say it: the way the cameras were held.

A camera is held without roll: its right side is horizontal, however far it looks down. Cameras
that look different ways tell what is up by that alone; of those that look one way, the surfaces
tell how far they look down.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

#: Cameras whose right sides point apart by this much, as the root mean square of sines, tell what
#: is horizontal; those that all look one way do not.
SPREAD = 0.2

#: Degrees that cameras that look one way may look up and down.
PITCHES = np.arange(-30, 61)

#: Cosines of the angles within which normals agree with a pitch, and within which their mean is
#: the result; and the share of normals that has to agree.
AGREES, NEAR, SUPPORT = np.cos(np.radians(7)), np.cos(np.radians(10)), 0.1

#: Up that is within this angle of an axis is the axis: poses of other programs are upright along
#: one, or are not upright at all.
SNAP = np.cos(np.radians(5))


class HeldUp(NamedTuple):
    """What the way cameras were held says.

    Attributes:
        up: (3,) unit vector that points up.
        back: (3,) unit vector to where the cameras do not look, where it is not known how far they
            look down; orthogonal to ``up``. None: it is known.
    """

    up: np.ndarray
    back: np.ndarray | None


def held_up(poses: np.ndarray) -> HeldUp:
    """Return what points up, as cameras are held without roll.

    Args:
        poses: (N, 4, 4), camera (x right, y down, z forward) to world.
    """
    own, back = -poses[:, :3, 1].sum(axis=0), -poses[:, :3, 2].sum(axis=0)
    _, singular, directions = np.linalg.svd(poses[:, :3, 0])
    spread = singular[1] / np.sqrt(len(poses)) if len(singular) > 1 else 0.0
    if spread > SPREAD:
        up = directions[2] * (-1.0 if directions[2] @ own < 0 else 1.0)
        return HeldUp(up, None)
    if np.linalg.norm(own) < 1e-6:  # held every way round
        return HeldUp(np.array([0.0, 0.0, 1.0]), None)
    up = own / np.linalg.norm(own)
    back -= up * (up @ back)
    length = np.linalg.norm(back)
    return HeldUp(up, back / length if length > 1e-6 else None)


def up_of_surfaces(held: HeldUp, normals: np.ndarray) -> np.ndarray:
    """Return what points up by the floors and tables before cameras that all look one way.

    Args:
        held: With ``back``.
        normals: (N, 3) unit vectors that face the cameras, in the frame of the poses; zeros where
            unknown.

    Returns:
        (3,) unit vector: the direction, of those that such cameras may have, along which most
            normals point; that of the cameras themselves where only few do.
    """
    assert held.back is not None
    known = normals[(normals != 0).any(axis=1)]
    if not len(known):
        return held.up
    angles = np.radians(PITCHES)
    candidates = np.outer(np.cos(angles), held.up) + np.outer(np.sin(angles), held.back)
    agreeing = (known @ candidates.T > AGREES).sum(axis=0)
    best = int(agreeing.argmax())
    if agreeing[best] < SUPPORT * len(known):
        return held.up
    mean = known[known @ candidates[best] > NEAR].sum(axis=0)
    return mean / np.linalg.norm(mean)


def snapped(up: np.ndarray) -> np.ndarray:
    """Return the axis that is within :data:`SNAP` of a unit vector (3,); else the vector."""
    axis = int(np.abs(up).argmax())
    if abs(up[axis]) < SNAP:
        return up
    exact = np.zeros(3)
    exact[axis] = np.sign(up[axis])
    return exact


def turn_to_z(up: np.ndarray) -> np.ndarray:
    """Return the smallest rotation (3, 3) that turns a unit vector (3,) to z."""
    x, y, z = np.asarray(up, np.float64)
    if z < -1 + 1e-9:
        return np.diag([1.0, -1.0, -1.0])
    axis = np.array([[0.0, 0.0, -x], [0.0, 0.0, -y], [x, y, 0.0]])
    return np.eye(3) + axis + axis @ axis / (1 + z)

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Space-filling curves: one integer per voxel, such that near voxels have near integers."""

from __future__ import annotations

import torch

#: Curves by the names of the official configs. ``-trans`` swaps x and y first.
CURVES = ("z", "z-trans", "hilbert", "hilbert-trans")

#: Most bits an axis may have: three axes and the batch share one 64-bit code.
MAX_DEPTH = 16


def curve_code(grid_coord: torch.Tensor, depth: int, curve: str) -> torch.Tensor:
    """Return the position of every voxel along a curve through the cube of side ``2**depth``.

    ``z`` interleaves the bits, x highest (Morton 1966). ``hilbert`` follows Skilling, "Programming
    the Hilbert curve", AIP Conf. Proc. 707 (2004): consecutive codes are face neighbours.

    Args:
        grid_coord: (N, 3) integer, 0 <= value < 2**depth.
        depth: bits per axis.
        curve: one of :data:`CURVES`.

    Returns:
        (N,) int64 below ``8**depth``, one to one with the voxels of the cube.

    Raises:
        ValueError: the curve does not exist, or the depth is out of range.
    """
    check_curve(depth, curve)
    x, y, z = grid_coord.to(torch.int32).unbind(1)
    if curve.endswith("-trans"):
        x, y = y, x
    if curve.startswith("z"):
        return _interleave(x, y, z)
    return _gray_to_binary(_interleave(*_hilbert_transpose(x, y, z, depth)), 3 * depth)


def check_curve(depth: int, curve: str) -> None:
    """Check that a curve exists and can have this depth; raises ValueError."""
    if curve not in CURVES:
        raise ValueError(f"curve is {curve!r}, expected one of {', '.join(CURVES)}")
    if not 0 <= depth <= MAX_DEPTH:
        raise ValueError(f"depth is {depth} bits per axis, expected 0 to {MAX_DEPTH}")


def _spread(value: torch.Tensor) -> torch.Tensor:
    """Move bit i of a 16-bit number to bit 3 i."""
    value = value.to(torch.int64)
    value = (value | value << 16) & 0x00FF0000FF
    value = (value | value << 8) & 0x00F00F00F00F
    value = (value | value << 4) & 0x0C30C30C30C3
    return (value | value << 2) & 0x249249249249


def _interleave(x: torch.Tensor, y: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    return _spread(x) << 2 | _spread(y) << 1 | _spread(z)


def _hilbert_transpose(
    x: torch.Tensor, y: torch.Tensor, z: torch.Tensor, depth: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Rotate and mirror the lower bits of each sub-cube (Skilling's inverse undo).

    The result, interleaved, is the Gray code of the position along the curve.
    """
    for bit in range(depth - 1, 0, -1):
        below = (1 << bit) - 1
        # All ones where the bit is set, all zeros where it is not.
        x = x ^ (-(x >> bit & 1) & below)
        set_y = -(y >> bit & 1)
        swap = (x ^ y) & ~set_y & below
        x, y = x ^ swap ^ (set_y & below), y ^ swap
        set_z = -(z >> bit & 1)
        swap = (x ^ z) & ~set_z & below
        x, z = x ^ swap ^ (set_z & below), z ^ swap
    return x, y, z


def _gray_to_binary(code: torch.Tensor, bits: int) -> torch.Tensor:
    """Replace every bit by the parity of itself and all bits above it."""
    shift = 1
    while shift < bits:
        code = code ^ code >> shift
        shift *= 2
    return code

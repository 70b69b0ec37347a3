# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A fixed origin: it keeps a still scene from flickering with its outermost point."""

from __future__ import annotations

import numpy as np
import torch

from concerto_ros.mapping.voxel_grid import bounds

#: An origin moves by multiples of this, voxels. A multiple of 16 keeps the cells of four
#: pooling steps; 64 makes moves rare.
STEP = 64
#: Voxels by which the centre may be off before it moves. After a move it is off by at most half a
#: step, so that it takes another 16 voxels or more to bring it back.
_TOLERANCE = 48
#: The largest coordinate is placed in the middle half of its octave [2**k, 2**(k+1)), k >= this.
_MIN_OCTAVE = 8
#: The last octave that 16 bits an axis can address; there is no larger one to move to.
_LAST_OCTAVE = 15


class FixedOrigin:
    """Corner and centre kept from one snapshot of a rolling map to the next.

    A shift of the grid by one voxel changes about a fifth of an encoder's output, and the minimum
    of a cloud follows every flying pixel. The corner is therefore placed with room to spare,
    always at a multiple of :data:`STEP`, and moves only when the window leaves that room: when a
    coordinate would be negative, or when the largest coordinate enters another octave. The depth
    of the space-filling curves follows from the bit length of that coordinate, and with it every
    order of the points. While a robot drives on, the octave bounds the coordinates.
    """

    def __init__(self):
        self.reset()

    def reset(self) -> None:
        """Forget corner and centre; the next snapshot places them."""
        self._corner: np.ndarray | None = None
        self._octave = 0
        self._centre: np.ndarray | None = None
        self._voxel_size = 0.0

    def state(self) -> dict[str, torch.Tensor]:
        """Return the tensors that :meth:`restore` needs; empty before the first snapshot."""
        if self._corner is None or self._centre is None:
            return {}
        return {
            "corner": torch.from_numpy(self._corner.copy()),
            "octave": torch.tensor(self._octave),
            "centre": torch.from_numpy(self._centre.copy()),
            "voxel_size": torch.tensor(self._voxel_size, dtype=torch.float64),
        }

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Continue from a :meth:`state`."""
        self.reset()
        if state:
            self._corner = state["corner"].numpy().copy()
            self._octave = int(state["octave"])
            self._centre = state["centre"].numpy().copy()
            self._voxel_size = float(state["voxel_size"])

    def keeps(self, centre: np.ndarray, within: float, voxel_size: float) -> bool:
        """Return whether :meth:`update` leaves the centre where it is.

        Args:
            centre: (3,) metres, near the exact centre of the next snapshot.
            within: voxels by which that may be elsewhere along each axis.
            voxel_size: metres.
        """
        if self._centre is None or voxel_size != self._voxel_size:
            return False
        off = np.abs(centre - self._centre) / voxel_size
        return bool((off + within <= _TOLERANCE).all())

    def update(
        self, index: np.ndarray, centre: np.ndarray, voxel_size: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the corner and the centre to use for a snapshot.

        Args:
            index: (V, 3), V > 0, lattice indices of the snapshot's voxels.
            centre: (3,) the exact centre of the snapshot, metres.
            voxel_size: metres.

        Returns:
            The lattice index (3,) int64 that becomes grid coordinate zero, and the point (3,)
                float64 in metres that becomes coordinate zero. The latter moves, axis by axis,
                when it is off by more than 48 voxels, by the multiple of 64 voxels that brings it
                closest to ``centre``.
        """
        if voxel_size != self._voxel_size:
            self.reset()
            self._voxel_size = voxel_size
        low, high = bounds(index)
        if self._corner is None or not self._contains(low, high):
            self._corner = _place(low, high)
            self._octave = _octave(high - self._corner)
        if self._centre is None:
            self._centre = np.array(centre, dtype=np.float64)
        off = (centre - self._centre) / voxel_size
        steps = np.where(np.abs(off) > _TOLERANCE, np.round(off / STEP), 0.0)
        if steps.any():
            self._centre = self._centre + steps * STEP * voxel_size
        return self._corner, self._centre

    def _contains(self, low: np.ndarray, high: np.ndarray) -> bool:
        """Whether the corner still has room for voxels from ``low`` to ``high``."""
        if self._corner is None or (low < self._corner).any():
            return False
        return _octave(high - self._corner) == self._octave


def _octave(extent: np.ndarray) -> int:
    """Return k such that the largest of ``extent`` (3,), plus one, lies in [2**k, 2**(k+1))."""
    return int(extent.max() + 1).bit_length() - 1


def _place(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """A corner with at least one step of room below, and room on both sides of the octave."""
    corner = (low // STEP - 1) * STEP
    longest = int((high - corner).argmax())
    while not _well_inside(int(high[longest] - corner[longest]) + 1):
        corner[longest] -= STEP
    return corner


def _well_inside(size: int) -> bool:
    """Whether ``size`` is in the middle half of its octave."""
    octave = size.bit_length() - 1
    if octave >= _LAST_OCTAVE:
        return True
    room = (1 << octave) // 4
    return octave >= _MIN_OCTAVE and (1 << octave) + room <= size < (2 << octave) - room

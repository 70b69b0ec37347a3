# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How a model was trained to see coordinates: scale and centre."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from concerto_ros.settings.presets import PRESETS


@dataclass(frozen=True)
class Convention:
    """How a model was trained to see coordinates.

    Attributes
    ----------
    scale: ``coord`` is metres x ``scale``.
    centre: what becomes zero. ``"box"``: the middle of the bounding box in x and y and its
        lowest z; ``"box_xy"``: the middle in x and y, z relative to the vehicle;
        ``"vehicle"``: the vehicle, on all axes.
    """

    scale: float
    centre: str

    def __post_init__(self):
        if not self.scale > 0:
            raise ValueError(f"scale is {self.scale}; expected: > 0")
        if self.centre not in ("box", "box_xy", "vehicle"):
            raise ValueError(f"centre is {self.centre!r}; expected: box, box_xy or vehicle")

    def zero(self, low: np.ndarray, high: np.ndarray, vehicle: np.ndarray) -> np.ndarray:
        """(3,) the point that becomes zero, for a box from ``low`` to ``high`` (3,)."""
        x, y, _ = (low + high) / 2
        if self.centre == "box":
            return np.array([x, y, low[2]])
        if self.centre == "box_xy":
            return np.array([x, y, vehicle[2]])
        return np.array(vehicle, dtype=np.float64)


#: By preset and by whether the encoder has rotary embeddings (Utonia) or not (Concerto, Sonata).
#: With the presets' voxel sizes the grid is 0.02 for Concerto indoors, 0.01 for all others.
_CONVENTIONS = {
    ("indoor", False): Convention(scale=1.0, centre="box"),
    ("outdoor", False): Convention(scale=0.2, centre="box_xy"),
    ("indoor", True): Convention(scale=0.5, centre="box"),
    ("outdoor", True): Convention(scale=0.2, centre="vehicle"),
}


def convention_for(preset: str, rotary: bool) -> Convention:
    """The convention of the published models: Sonata, Concerto (``rotary`` False), Utonia."""
    try:
        return _CONVENTIONS[preset, bool(rotary)]
    except KeyError:
        raise ValueError(f"preset is {preset!r}; expected: {' or '.join(PRESETS)}") from None


def preset_with(convention: Convention, rotary: bool) -> str:
    """The preset whose :func:`convention_for` this is; ValueError where no preset has it."""
    for (preset, of_rotary), known in _CONVENTIONS.items():
        if of_rotary == bool(rotary) and known == convention:
            return preset
    raise ValueError(f"got {convention}; expected that of a preset: {' or '.join(PRESETS)}")

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Input conventions: the scale and centre of the coordinates a model was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from concerto_ros.settings.presets import PRESETS


@dataclass(frozen=True)
class Convention:
    """Scale and centre of the coordinates a model was trained on.

    Attributes:
        scale: ``coord`` is metres x ``scale``.
        centre: the point that becomes zero. ``"box"``: the middle of the bounding box in x and y
            and the floor in z; ``"box_xy"``: the middle in x and y, z relative to the vehicle;
            ``"vehicle"``: the vehicle, on all axes.

    Raises:
        ValueError: a value out of these ranges.
    """

    scale: float
    centre: str

    def __post_init__(self):
        if not self.scale > 0:
            raise ValueError(f"scale is {self.scale}; expected a number above 0")
        if self.centre not in ("box", "box_xy", "vehicle"):
            raise ValueError(f"centre is {self.centre!r}; expected box, box_xy or vehicle")

    @property
    def from_floor(self) -> bool:
        """Whether height counts from the floor."""
        return self.centre == "box"

    def zero(self, low: np.ndarray, high: np.ndarray, vehicle: np.ndarray) -> np.ndarray:
        """Return the point that becomes zero, (3,) metres.

        Args:
            low: (3,) lowest corner of the cloud's bounding box, metres; its z is the floor's.
            high: (3,) its highest corner.
            vehicle: (3,) position of the vehicle.
        """
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
    """Return the convention that the published models were trained with.

    Args:
        preset: ``indoor`` or ``outdoor``.
        rotary: False for Sonata and Concerto, True for Utonia.

    Raises:
        ValueError: the preset does not exist.
    """
    try:
        return _CONVENTIONS[preset, bool(rotary)]
    except KeyError:
        raise ValueError(f"preset is {preset!r}; expected {' or '.join(PRESETS)}") from None


def preset_with(
    convention: Convention, rotary: bool, own: Mapping[str, tuple[float, str]] | None = None
) -> str:
    """Return the preset that has this ``convention``, the inverse of :func:`convention_for`.

    Args:
        convention: scale and centre.
        rotary: as for :func:`convention_for`.
        own: the encoder's own conventions, which precede those of the published models.

    Raises:
        ValueError: no preset has it.
    """
    for preset, values in (own or {}).items():
        if Convention(*values) == convention:
            return preset
    for (preset, of_rotary), known in _CONVENTIONS.items():
        if of_rotary == bool(rotary) and known == convention:
            return preset
    raise ValueError(
        f"convention is {convention}; expected that of a preset: {' or '.join(PRESETS)}"
    )

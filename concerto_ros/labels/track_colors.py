# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Colours of objects by their track id, the same in markers, pictures and the viewer."""

from __future__ import annotations

import numpy as np

from concerto_ros.labels.label_set import LabelSet

#: Colours that are easy to tell apart; ids use them cyclically.
_COLORS = LabelSet.from_generic(64).palette[:64]


def color_of(track_id: int) -> np.ndarray:
    """(3,) uint8 RGB: the colour in which the object with this id is always shown."""
    return colors_of(np.array(track_id))


def colors_of(track_ids: np.ndarray) -> np.ndarray:
    """(N, 3) uint8 RGB: the colours of the objects with these ids, (N,)."""
    return _COLORS[track_ids % len(_COLORS)]

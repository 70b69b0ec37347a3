# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Colours of a heat map, for cosine similarities."""

from __future__ import annotations

import numpy as np

#: Cosines and their colours: even steps from dark violet over red to yellow, as in a heat map.
_COSINES = (0.0, 0.25, 0.5, 0.75, 1.0)

_COLORS = ((12, 8, 50), (90, 18, 110), (190, 50, 85), (245, 125, 20), (252, 240, 130))


def heat_colors(cosine: np.ndarray) -> np.ndarray:
    """Return (N, 3) uint8 colours of (N,) cosines, dark at 0 and below, yellow at 1."""
    channels = [np.interp(cosine, _COSINES, channel) for channel in zip(*_COLORS, strict=True)]
    return np.rint(np.stack(channels, axis=1)).astype(np.uint8)

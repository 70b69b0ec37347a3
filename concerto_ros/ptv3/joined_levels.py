# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How many levels of an encoder a head joins, by the width that it takes."""

from __future__ import annotations

from concerto_ros.ptv3.encoder import Encoder


def joined_levels(name: str, width: int, encoder: Encoder) -> int:
    """Return how many finer levels ``upcast`` must join to the coarsest to give ``width``.

    Args:
        name: of the head, for the error message.
        width: feature width that the head takes.
        encoder: the backbone that gives the features.

    Raises:
        ValueError: no number of levels of ``encoder`` has this width; the text names both.
    """
    widths = [sum(encoder.channels[-1 - joined :]) for joined in range(len(encoder.channels))]
    if width not in widths:
        raise ValueError(
            f"head {name!r} takes {width} channels, encoder {encoder.name!r} has"
            f" {' or '.join(map(str, widths))}; expected a head trained on this encoder"
        )
    return widths.index(width)

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What tells the labelled scans of one training run from those of another."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

from concerto_ros.files.digest import digest
from concerto_ros.learning.data.labelled_scan import Scan


def about_scans(scans: Sequence[Scan]) -> dict[str, Any]:
    """What must stay the same of labelled scans for a training to go on with them, by name.

    Data sets say it themselves (``about()``) without reading points; other scans are digested.
    """
    if hasattr(scans, "about"):
        return scans.about()
    every = (scans[index] for index in range(len(scans)))
    parts = ((s.name, s.points, s.labels, s.colors, s.normals) for s in every)
    return {"scans or labels": digest(chain.from_iterable(parts))}

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Identity of the labelled scans of a training run, for resuming it with the same scans only."""

from __future__ import annotations

from itertools import chain
from typing import Any

from concerto_ros.files.digest import digest
from concerto_ros.learning.data.labelled_scan import Scans


def scan_identity(scans: Scans) -> dict[str, Any]:
    """By name, what must be equal for a training run to resume with ``scans``.

    Data sets have a method ``identity`` for it, which reads no points; of other scans names and
    arrays are hashed. The names and values are stored in ``training.pt``.
    """
    if hasattr(scans, "identity"):
        return scans.identity()
    every = (scans[index] for index in range(len(scans)))
    content = ((s.name, s.points, s.labels, s.colors, s.normals) for s in every)
    return {"scans or labels": digest(chain.from_iterable(content))}

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Identity of the labelled scans of a training run, for resuming it with the same scans only."""

from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np

from concerto_ros.files.digest import digest
from concerto_ros.learning.data.label_map import DataError
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


def values_found(scans: Scans) -> dict[int, int]:
    """Number of points of each label value in the files of ``scans``; empty for other scans."""
    return scans.values_found() if hasattr(scans, "values_found") else {}


def points_by_label(scans: Scans, num_classes: int) -> np.ndarray:
    """Number of points with each label, (num_classes,); reads all scans."""
    counts = np.zeros(num_classes, dtype=np.int64)
    for index in range(len(scans)):
        scan = scans[index]
        counts += np.bincount(scan.labels[scan.labelled], minlength=num_classes)
    return counts


def require_labels(scans: Scans, what: str) -> None:
    """Check that a point of some scan has a label.

    Args:
        scans: Scans; they are read until one has a label.
        what: What the labels are for, e.g. ``to learn from``, for the message.

    Raises:
        DataError: None has; the text lists the values in the files.
    """
    if any(scans[index].labelled.any() for index in range(len(scans))):
        return
    found = values_found(scans)
    listed = ", ".join(f"{value} ({count} points)" for value, count in list(found.items())[:8])
    listed += ", ..." if len(found) > 8 else ""
    raise DataError(
        f"none of {len(scans)} scans has a point with a label {what}: the values in their files,"
        f" {listed or 'none of them a whole number'}, all mean 'no label'; give them classes in a"
        " label map (--label-map, or label_map.yaml in the data folder)"
    )

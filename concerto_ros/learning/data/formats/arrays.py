# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The arrays of a file as a scan, or an error that names the file and the array."""

from __future__ import annotations

import numpy as np

from concerto_ros.learning.data.label_map import DataError
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.sensors.cloud_files import rgb_bytes, unit_rows

#: float32 resolves 1 mm up to about this many metres; scans farther out are moved to the origin.
FLOAT32_REACH = 8_000.0


def make_scan(
    name: str,
    where: str,
    points: np.ndarray,
    labels: np.ndarray,
    colors: np.ndarray | None = None,
    normals: np.ndarray | None = None,
) -> Scan:
    """A scan of the arrays of a file, or DataError naming the file ``where`` and the array.

    Points (N, 3) and labels (N,), uint8 already, have to be there and finite. Colours (N, 3) may
    be 0..255, fractions up to 1, or 16-bit; normals (N, 3) become unit, NaN in either becomes
    zero. Points too far away for float32 are moved to the origin by whole metres.
    """
    points = rows_of(where, "points", points, None)
    if not len(points):
        raise DataError(f"{where}: holds no points")
    if len(labels) != len(points):
        raise DataError(f"{where}: {len(labels)} labels for {len(points)} points")
    broken = ~np.isfinite(points).all(axis=1)
    if broken.any():
        first = int(np.flatnonzero(broken)[0])
        raise DataError(
            f"{where}: {np.count_nonzero(broken)} of {len(points)} points have a coordinate that "
            f"is NaN or infinite, the first is point {first}; leave them out of the file"
        )
    if np.abs(points).max() > FLOAT32_REACH:
        points = points.astype(np.float64)
        points = points - np.floor(points.min(axis=0))
    return Scan(
        name=name,
        points=np.ascontiguousarray(points, np.float32),
        labels=labels,
        colors=None
        if colors is None
        else rgb_bytes(rows_of(where, "colors", colors, len(points))),
        normals=None
        if normals is None
        else unit_rows(rows_of(where, "normals", normals, len(points))),
    )


def rows_of(where: str, what: str, array: np.ndarray, count: int | None) -> np.ndarray:
    """The array, if it is (count, 3) numbers; of more columns the first three."""
    right = array.ndim == 2 and array.shape[1] >= 3 and array.dtype.kind in "fiub"
    if not right or (count is not None and len(array) != count):
        wanted = f"({'N' if count is None else count}, 3) numbers"
        raise DataError(f"{where}: {what} are {array.dtype} of shape {array.shape}, not {wanted}")
    return array[:, :3]


def column_of(where: str, what: str, array: np.ndarray) -> np.ndarray:
    """The array as (N,), if it is (N,) or (N, 1)."""
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise DataError(f"{where}: {what} is of shape {array.shape}, (N,) is wanted")
    return array

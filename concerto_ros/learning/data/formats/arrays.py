# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From the arrays of a file to a scan, with checks that name the file and the array."""

from __future__ import annotations

import logging

import numpy as np

from concerto_ros.learning.data.label_map import DataError
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.sensors.colors import rgb_bytes
from concerto_ros.sensors.input_error import InputError
from concerto_ros.sensors.normals import unit_rows
from concerto_ros.sensors.strays import local_offset, near_others

log = logging.getLogger(__name__)


def make_scan(
    name: str,
    where: str,
    points: np.ndarray,
    labels: np.ndarray,
    colors: np.ndarray | None = None,
    normals: np.ndarray | None = None,
) -> Scan:
    """Make a scan of the arrays of a file, without strays, which are logged.

    Args:
        name: Name of the scan.
        where: Name of the file, for error messages.
        points: (N, 3) finite coordinates, metres; if too large for float32, they are moved to the
            origin by whole metres. Those far from the others are left out.
        labels: (N,) uint8, one per point.
        colors: (N, 3) RGB as fractions, 8 or 16 bits; NaN becomes zero.
        normals: (N, 3), are normalised; NaN becomes zero.

    Raises:
        DataError: An array has the wrong shape, type or length, or points are not finite.
    """
    points = rows_of(where, "points", points, None)
    if not len(points):
        raise DataError(f"{where}: has no points, expected at least one")
    broken = ~np.isfinite(points).all(axis=1)
    if broken.any():
        first = int(np.flatnonzero(broken)[0])
        raise DataError(
            f"{where}: {np.count_nonzero(broken)} of {len(points)} points have a coordinate that "
            f"is NaN or infinite (the first: point {first}), expected finite ones; remove them"
        )
    try:
        near = near_others(points)
    except ValueError as error:
        raise DataError(f"{where}: {error}") from None
    strays = len(points) - int(np.count_nonzero(near))
    if strays:
        log.warning(
            f"{where}: {strays} of {len(points)} points lie far from the others and are left out"
        )
    points = points[near] - local_offset(points[near])
    if colors is not None:
        colors = _rgb(where, rows_of(where, "colors", colors, len(near)))[near]
    if normals is not None:
        normals = unit_rows(rows_of(where, "normals", normals, len(near)))[near]
    return Scan(
        name=name,
        points=np.ascontiguousarray(points, np.float32),
        labels=labels[near],
        colors=colors,
        normals=normals,
    )


def _rgb(where: str, colors: np.ndarray) -> np.ndarray:
    try:
        return rgb_bytes(colors)
    except InputError as error:
        raise DataError(f"{where}: {error}") from None


def rows_of(where: str, what: str, array: np.ndarray, count: int | None) -> np.ndarray:
    """Check that an array has shape (count, 3 or more) and numbers; its first three columns.

    Raises:
        DataError: It does not; names the file ``where`` and the array ``what``.
    """
    right = array.ndim == 2 and array.shape[1] >= 3 and array.dtype.kind in "fiub"
    if not right or (count is not None and len(array) != count):
        expected = f"numbers of shape ({'N' if count is None else count}, 3)"
        raise DataError(
            f"{where}: {what} are {array.dtype} of shape {array.shape}, expected {expected}"
        )
    return array[:, :3]


def _is_one_hot(rows: np.ndarray) -> bool:
    return bool(((rows == 0) | (rows == 1)).all() and (rows.sum(axis=1) == 1).all())


def column_of(where: str, what: str, array: np.ndarray) -> np.ndarray:
    """An array of shape (N,) or (N, 1) as (N,).

    Raises:
        DataError: It has another shape; names the file ``where`` and the array ``what``.
    """
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        one_hot = array.ndim == 2 and array.dtype.kind in "fiub" and _is_one_hot(array)
        hint = f"; take {what}.argmax(axis=1) of one-hot rows" if one_hot else ""
        raise DataError(f"{where}: {what} is of shape {array.shape}, expected (N,){hint}")
    return array

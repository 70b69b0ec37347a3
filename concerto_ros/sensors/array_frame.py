# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A frame made of plain arrays instead of a sensor message."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from concerto_ros.sensors.colors import rgb_bytes
from concerto_ros.sensors.frame import FARTHEST, Frame
from concerto_ros.sensors.normals import unit_rows
from concerto_ros.sensors.strays import FLOAT32_REACH, local_offset, near_others


class SingleFrame(NamedTuple):
    """A cloud as a frame.

    Attributes:
        frame: The n finite points without strays, relative to ``offset``.
        rows: (n,) int64, their rows among the N points that were given.
        strays: How many finite points are too far from the others, see
            :func:`~concerto_ros.sensors.strays.near_others`.
        offset: (3,) float64, metres; zeros unless the points are far from the origin.
    """

    frame: Frame
    rows: np.ndarray
    strays: int
    offset: np.ndarray


def single_frame(
    points: npt.ArrayLike,
    colors: npt.ArrayLike | None,
    normals: npt.ArrayLike | None,
    origin: npt.ArrayLike | None,
    largest: float = 2 * FLOAT32_REACH,
) -> SingleFrame:
    """Make a frame of the finite points of a cloud.

    Args:
        points: (N, 3), metres.
        colors: (N, 3) RGB or (N, 4) RGBA: fractions, 8 or 16 bits, told as
            :func:`~concerto_ros.sensors.colors.rgb_bytes` says; None: no colours.
        normals: (N, 3) of any length, zeros where unknown; None: no normals.
        origin: (3,), metres, where the sensor was; None: the middle of the cloud.
        largest: Metres along an axis that the points may extend.

    Raises:
        ValueError: An array has another shape, unit or type, or no point is finite.
    """
    checked = checked_points(points)
    finite = np.flatnonzero((np.abs(checked) <= FARTHEST).all(axis=1))
    if len(finite) == 0:
        raise ValueError(
            f"points: got {len(checked)} points, none of them finite, expected at least one"
        )
    rgb = checked_colors(colors, len(checked))
    unit = None if normals is None else unit_rows(_rows("normals", normals, len(checked), (3,)))
    near = near_others(checked[finite], largest)
    rows = finite[near]
    offset = local_offset(checked[rows])
    seen = (checked[rows] - offset).astype(np.float32)
    if origin is None:
        sensor = (seen.min(axis=0) + seen.max(axis=0)) / 2
    else:
        sensor = np.asarray(origin, np.float64) - offset
        if sensor.shape != (3,) or not np.isfinite(sensor).all():
            raise ValueError(f"origin: got {origin!r}, expected three finite coordinates, metres")
    frame = Frame(
        points=seen,
        stamp=0,
        frame_id="",
        colors=None if rgb is None else rgb[rows],
        normals=None if unit is None else unit[rows],
        origin=np.asarray(sensor, np.float64),
    )
    return SingleFrame(frame, rows, len(finite) - len(rows), offset)


def checked_points(points: npt.ArrayLike) -> np.ndarray:
    """Check the coordinates of a cloud.

    Returns:
        (N, 3) in their own number type; N > 0.

    Raises:
        ValueError: They have another shape, or are no numbers.
    """
    array = as_numbers("points", points)
    hint = ""
    if array.ndim == 2 and array.shape[0] in (3, 4) and array.shape[1] > 4:
        hint = "; it looks transposed: pass points.T"
    elif array.ndim == 2 and array.shape[1] > 3:
        hint = (
            "; pass points[:, :3], and colors or normals by themselves if the other columns hold"
            " them"
        )
    elif array.ndim == 3 and array.shape[2] == 3:
        hint = "; of an organised cloud pass points.reshape(-1, 3)"
    if array.ndim != 2 or array.shape[1] != 3 or not len(array) or hint:
        raise ValueError(f"points: got shape {array.shape}, expected (N, 3) with N > 0{hint}")
    return array


def checked_colors(colors: npt.ArrayLike | None, count: int) -> np.ndarray | None:
    """Check the colours of ``count`` points; see :func:`single_frame`.

    Returns:
        (count, 3) uint8, or None.

    Raises:
        ValueError: They have another shape, are no numbers, or are in no known unit.
    """
    if colors is None:
        return None
    return rgb_bytes(_rows("colors", colors, count, (3, 4))[:, :3])


def as_numbers(name: str, values: npt.ArrayLike) -> np.ndarray:
    """Return an array, list or tensor as a NumPy array of numbers.

    Raises:
        ValueError: It is none.
    """
    if hasattr(values, "detach"):  # a tensor, which may be on a GPU or have a gradient
        values = values.detach().cpu()
    elif hasattr(values, "cpu") and hasattr(values, "numpy"):  # Open3D's
        values = values.cpu().numpy()
    try:
        array = np.asarray(values)
        if array.dtype.kind == "O":
            array = array.astype(np.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        kind = type(values).__name__
        raise ValueError(f"{name}: got a {kind} ({error}), expected an array of numbers") from None
    if array.dtype.kind not in "fiub":
        kind = f"{array.dtype} of shape {array.shape}"
        raise ValueError(f"{name}: got {kind}, expected an array of numbers")
    return array


def _rows(name: str, values: npt.ArrayLike, count: int, widths: tuple[int, ...]) -> np.ndarray:
    array = as_numbers(name, values)
    if array.ndim != 2 or len(array) != count or array.shape[1] not in widths:
        transposed = array.ndim == 2 and array.shape[1] == count and array.shape[0] in widths
        hint = f"; it looks transposed: pass {name}.T" if transposed else ""
        raise ValueError(
            f"{name}: got shape {array.shape}, expected ({count}, {widths[0]}), a row for each"
            f" point{hint}"
        )
    return array

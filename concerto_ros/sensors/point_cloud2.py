# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Decoding of sensor_msgs/PointCloud2 with any field order, type, byte order and padding."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from concerto_ros.sensors.colors import rgb_bytes, unpack_rgb
from concerto_ros.sensors.frame import Frame, OriginalPoints
from concerto_ros.sensors.free_space import ScanView
from concerto_ros.sensors.input_error import InputError
from concerto_ros.sensors.message_fields import (
    attribute,
    data_bytes,
    row_distance,
    stamp_ns,
    text,
    unsigned,
)
from concerto_ros.sensors.no_reading import (
    CLOUD_NO_READING,
    clearing_range,
    is_no_reading,
)

#: sensor_msgs/PointField datatype constants and their NumPy types.
DATATYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}

XYZ = ("x", "y", "z")
NORMAL = ("normal_x", "normal_y", "normal_z")
PACKED_COLOR = ("rgb", "rgba")
SEPARATE_COLOR = (("r", "g", "b"), ("red", "green", "blue"))
INTENSITY = ("intensity", "reflectivity", "i")

#: Points processed at a time where a cloud has more than ``max_points``.
CHUNK = 1_000_000


def decode_point_cloud(
    message: Any,
    *,
    source: str = "",
    min_range: float = 0.0,
    max_range: float = np.inf,
    no_reading: Sequence[float] = CLOUD_NO_READING,
    max_points: int = 4_000_000,
    original: bool = False,
) -> Frame:
    """Decode the finite points of a PointCloud2 between ``min_range`` and ``max_range``.

    Coordinates beyond 1e19 m count as infinite.

    Args:
        message: Any object with PointCloud2's attributes; x, y, z in metres.
        source: Name of the input, stored in the frame.
        min_range: Metres from the origin of the message's frame, inclusive. For drivers that mark
            a missing return by (0, 0, 0), any value above zero.
        max_range: Metres from the origin of the message's frame, inclusive. A point clearly
            beyond it is not part of the view: it clears nothing.
        no_reading: Metres from the origin at which points stand for rays without a return.
        max_points: Maximum points used; of more, the nearest that are finite and within range are
            used, and the frame's ``clipped`` counts those left out.
        original: Whether the frame also holds all points of the message in its order.

    Returns:
        A frame in the message's own ``frame_id``, with colours (from ``rgb``/``rgba`` or from
        separate fields), intensity (``intensity``, ``reflectivity`` or ``i``) and normals
        (``normal_x``...) where the cloud has them. A packed colour of another layout than PCL's
        costs the frame only its colours: ``uncolored`` says why.

    Raises:
        InputError: ``empty``, ``malformed``, ``unsupported`` or ``no_xyz``.
    """
    stamp = stamp_ns(message)
    frame_id = text(message, "header.frame_id")
    width, height = unsigned(message, "width"), unsigned(message, "height")
    size = width * height
    if size == 0:
        _refuse_empty(message, width, height)
    used = {*XYZ, *NORMAL, *PACKED_COLOR, *INTENSITY, *(n for c in SEPARATE_COLOR for n in c)}
    fields = _views(message, used)
    missing = [name for name in XYZ if name not in fields]
    if missing:
        got = ", ".join(fields) or "none of a known type"
        raise InputError("no_xyz", f"fields: got {got}, expected {', '.join(missing)} among them")

    clipped = 0
    own_points: np.ndarray | None = None
    if size > max_points:
        own_points = _columns(fields, XYZ) if original else None
        rows, clipped = _nearest(fields, max_points, min_range, max_range)
        fields = {name: _taken(view, rows) for name, view in fields.items()}
        size = len(rows)
    measured = _columns(fields, XYZ)
    if original and own_points is None:
        own_points = measured
    squared = _squared(measured)
    returned = _returned(squared, [d for d in no_reading if d <= clearing_range(max_range)])
    keep = _within(squared, min_range, max_range) & returned
    kept = int(np.count_nonzero(keep))
    if kept == 0:
        raise InputError(
            "empty",
            f"none of the points is finite and within {min_range} to {max_range} m:"
            f" got {len(measured)}, expected at least one",
        )

    def select(array: np.ndarray) -> np.ndarray:
        return array if kept == size else array.compress(keep, axis=0)

    points = select(measured)
    intensity = _intensity(fields)
    colors, uncolored = _colors(fields)
    return Frame(
        points=points,
        stamp=stamp,
        frame_id=frame_id,
        source=source,
        colors=None if colors is None else select(colors),
        normals=_normals(fields, points, select),
        intensity=None if intensity is None else select(intensity),
        view=ScanView(
            measured if returned.all() else measured.compress(returned, axis=0),
            min_range,
            clearing_range(max_range),
        ),
        clipped=clipped,
        original=(
            None
            if own_points is None
            else OriginalPoints(own_points, (height, width), stamp, frame_id)
        ),
        uncolored=uncolored,
    )


def point_cloud_fields(message: Any) -> dict[str, np.ndarray]:
    """Return views of every field by name, without a copy.

    Of two fields of one name the first counts; a field of a datatype that PointField does not
    define is left out.

    Returns:
        Arrays (height, width), or (height, width, count) for a field of several elements, in the
        message's own type and byte order.

    Raises:
        InputError: ``malformed``: the layout contradicts itself or the data is too short for it.
    """
    return _views(message, ())


def _refuse_empty(message: Any, width: int, height: int) -> None:
    """Raise the error of a cloud of no points: ``empty``, or ``malformed`` where it has data."""
    size = len(data_bytes(message))
    if size:
        got = f"{width} x {height} with {size} bytes of data"
        raise InputError("malformed", f"width x height: got {got}, expected both at least 1")
    raise InputError("empty", "width x height: got 0 points, expected at least one")


def _row_step(message: Any, width: int, height: int, point_step: int, size: int) -> int:
    """Return the bytes from one row to the next (see :func:`row_distance`).

    Raises:
        InputError: ``malformed``: the data is too short, or it does not tell where rows begin.
    """
    declared, row = unsigned(message, "row_step"), width * point_step
    if size < height * row:
        minimum = f"height x width x point_step = {height} x {width} x {point_step}"
        raise InputError("malformed", f"data: got {size} bytes, expected at least {minimum}")
    row_step = row_distance(declared, row, height, size)
    if row_step is None:
        raise InputError(
            "malformed",
            f"row_step: got {declared} in a cloud of {height} rows with {size} bytes of data,"
            f" expected width x point_step = {row}, or more and data for rows of that length",
        )
    return row_step


def _views(message: Any, used: Collection[str]) -> dict[str, np.ndarray]:
    """Return views of the fields; an unknown datatype is refused in the ``used`` ones."""
    height, width = unsigned(message, "height"), unsigned(message, "width")
    point_step = unsigned(message, "point_step")
    data = data_bytes(message)
    row_step = _row_step(message, width, height, point_step, len(data))
    order = ">" if attribute(message, "is_bigendian") else "<"
    try:
        declared = list(attribute(message, "fields"))
    except TypeError:
        raise InputError(
            "malformed", "fields: got no sequence, expected one of PointField"
        ) from None

    views: dict[str, np.ndarray] = {}
    for field in declared:
        name = text(field, "name")
        if name in views:
            continue
        datatype = unsigned(field, "datatype")
        if datatype not in DATATYPES:
            if name in used:
                raise InputError(
                    "unsupported", f"datatype of field '{name}': got {datatype}, expected 1..8"
                )
            continue
        dtype = np.dtype(order + DATATYPES[datatype])
        offset = unsigned(field, "offset")
        count = unsigned(field, "count") or 1  # Zero is written by old drivers; PCL reads it as 1.
        if offset + count * dtype.itemsize > point_step:
            end = offset + count * dtype.itemsize
            raise InputError(
                "malformed",
                f"end of field '{name}': got byte {end}, expected at most point_step,"
                f" {point_step}",
            )
        shape: tuple[int, ...] = (height, width)
        strides: tuple[int, ...] = (row_step, point_step)
        if count > 1:
            shape, strides = (*shape, count), (*strides, dtype.itemsize)
        if height * width == 0:
            views[name] = np.empty((0, 0, count)[: len(shape)], dtype)
        else:
            views[name] = np.ndarray(shape, dtype, data, offset, strides)
    return views


def _scalar(fields: dict[str, np.ndarray], name: str) -> np.ndarray:
    """Return the field as one number per point."""
    view = fields[name]
    if view.ndim != 2:
        raise InputError("malformed", f"count of field '{name}': got {view.shape[2]}, expected 1")
    return view


def _columns(fields: dict[str, np.ndarray], names: tuple[str, str, str]) -> np.ndarray:
    """Stack three fields to (N, 3) float32."""
    columns = [_scalar(fields, name) for name in names]
    out = np.empty((*columns[0].shape, 3), np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for i, column in enumerate(columns):
            out[..., i] = column
    return out.reshape(-1, 3)


def _squared(points: np.ndarray) -> np.ndarray:
    """Return squared distances (N,) from the origin; inf or NaN where a point is not finite."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.einsum("ij,ij->i", points, points)


def _within(squared: np.ndarray, min_range: float, max_range: float) -> np.ndarray:
    """Return (N,) bool: whether points of these squared distances are finite and within range."""
    farthest = min(float(max_range) ** 2, float(np.finfo(np.float32).max))
    return (squared >= float(min_range) ** 2) & (squared <= farthest)


def _returned(squared: np.ndarray, no_reading: Sequence[float]) -> np.ndarray:
    """Return (N,) bool: whether points of these squared distances are no missing returns."""
    if not no_reading:
        return np.ones(squared.shape, bool)
    return ~is_no_reading(np.sqrt(squared), no_reading)


def _nearest(
    fields: dict[str, np.ndarray], max_points: int, min_range: float, max_range: float
) -> tuple[np.ndarray, int]:
    """Return the rows of the nearest points within range, in their order, and how many more exist.

    Needs memory for ``max_points`` points, however many the cloud has.
    """
    size = fields["x"].size
    best, best_squared = np.empty(0, np.int64), np.empty(0, np.float32)
    found = 0
    chunk = max(max_points, CHUNK)
    for first in range(0, size, chunk):
        rows = np.arange(first, min(first + chunk, size))
        squared = _squared(_columns({name: _taken(fields[name], rows) for name in XYZ}, XYZ))
        inside = np.flatnonzero(_within(squared, min_range, max_range))
        found += len(inside)
        best = np.concatenate([best, rows[inside]])
        best_squared = np.concatenate([best_squared, squared[inside]])
        if len(best) > max_points:
            nearest = np.argsort(best_squared, kind="stable")[:max_points]
            best, best_squared = best[nearest], best_squared[nearest]
    return np.sort(best), found - len(best)


def _taken(view: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the points ``rows`` (N,) of a field's view as a cloud of one row."""
    return view[np.divmod(rows, view.shape[1])][None]


def _intensity(fields: dict[str, np.ndarray]) -> np.ndarray | None:
    for name in INTENSITY:
        if name in fields:
            with np.errstate(over="ignore", invalid="ignore"):
                return _scalar(fields, name).astype(np.float32).reshape(-1)
    return None


def _normals(
    fields: dict[str, np.ndarray], points: np.ndarray, select: Callable
) -> np.ndarray | None:
    """Return unit normals facing the origin; zeros where the message has invalid ones."""
    if not all(name in fields for name in NORMAL):
        return None
    normals = select(_columns(fields, NORMAL))
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        away = np.einsum("ij,ij->i", normals, points) > 0
        length = np.sqrt(np.einsum("ij,ij->i", normals, normals))
        normals = normals / np.where(away, -length, length)[:, None]
    normals[~(np.isfinite(length) & (length > 0))] = 0
    return np.nan_to_num(normals, copy=False, posinf=0, neginf=0)


def _colors(fields: dict[str, np.ndarray]) -> tuple[np.ndarray | None, str]:
    """Return (N, 3) uint8 RGB from a packed field or from three separate ones.

    Second, why there are none although the cloud has such a field; else empty.
    """
    why = ""
    for name in PACKED_COLOR:
        if name in fields:
            colors = _packed_colors(fields[name])
            if colors is not None:
                return colors, ""
            view = fields[name]
            got = f"{view.dtype.name} x {view.shape[2] if view.ndim == 3 else 1}"
            why = f"field '{name}': got {got}, expected one float32 or uint32"
    for names in SEPARATE_COLOR:
        if all(name in fields for name in names):
            channels = [_scalar(fields, name).reshape(-1) for name in names]
            return rgb_bytes(channels, strict=False), ""
    return None, why


def _packed_colors(view: np.ndarray) -> np.ndarray | None:
    """Unpack 0xAARRGGBB in four bytes, whatever number type is declared (PCL's convention)."""
    if view.dtype == np.uint8 and view.ndim == 3 and view.shape[2] >= 3:
        return view[..., :3].reshape(-1, 3)  # rgb declared as three bytes in reading order
    if view.dtype.itemsize != 4 or view.ndim != 2:
        return None
    return unpack_rgb(view).reshape(-1, 3)

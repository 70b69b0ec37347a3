# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The one reader of point cloud files, whatever their format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from concerto_ros.sensors.cloud_files.arrays import read_bin, read_numpy
from concerto_ros.sensors.cloud_files.columns import (
    ARRAYS,
    LABELS,
    Columns,
    find_column,
    known_arrays,
    structured,
)
from concerto_ros.sensors.cloud_files.meshes import read_mesh
from concerto_ros.sensors.cloud_files.pcd import read_pcd
from concerto_ros.sensors.cloud_files.ply import read_ply
from concerto_ros.sensors.cloud_files.surveys import read_e57, read_las
from concerto_ros.sensors.cloud_files.text import read_text
from concerto_ros.sensors.colors import rgb_bytes
from concerto_ros.sensors.frame import FARTHEST, Frame
from concerto_ros.sensors.input_error import InputError
from concerto_ros.sensors.normals import unit_rows
from concerto_ros.sensors.strays import FLOAT32_REACH, local_offset

#: What each reader returns: the columns, and where the sensor was, if the file says so.
Contents = tuple[Columns, np.ndarray | None]

_READERS: dict[str, Callable[[Path], Contents]] = {
    ".ply": lambda path: (structured(read_ply(path)), None),
    ".pcd": read_pcd,
    **dict.fromkeys((".npz", ".npy"), lambda path: (read_numpy(path), None)),
    ".bin": lambda path: (read_bin(path), None),
    **dict.fromkeys((".las", ".laz"), lambda path: (read_las(path), None)),
    ".e57": read_e57,
    **dict.fromkeys(
        (".xyz", ".txt", ".csv", ".pts", ".asc"), lambda path: (read_text(path), None)
    ),
    **dict.fromkeys(
        (".obj", ".glb", ".gltf", ".stl", ".off"), lambda path: (read_mesh(path), None)
    ),
}

#: Suffixes of the files that :func:`read_cloud_file` reads.
FORMATS = tuple(_READERS)


@dataclass(frozen=True, eq=False)
class CloudFile:
    """The point cloud of a file.

    Attributes:
        frame: The finite points, relative to ``offset``; stamp 0, ``frame_id`` the file's stem.
        offset: (3,) float64, metres, whole numbers; add it to get the file's own coordinates.
            Zeros except for georeferenced files, whose coordinates exceed float32.
        points: (N, 3) the same points in the file's own coordinates; float64 where float32 does
            not hold them.
        sensor: (3,) float64, metres, where the sensor was, in the file's own coordinates; None:
            the file does not say.
        not_finite: How many more points the file has, which are NaN or infinite (beyond 1e19 m).
        label: (N,) int64, the file's own labels of the points; None: it has none.
    """

    frame: Frame
    offset: np.ndarray
    points: np.ndarray
    sensor: np.ndarray | None = None
    not_finite: int = 0
    label: np.ndarray | None = None


def read_cloud(path: str | Path) -> Frame:
    """Read the finite points of a file; see :func:`read_cloud_file`."""
    return read_cloud_file(path).frame


def read_columns(path: str | Path) -> Contents:
    """Read what a file of one of :data:`FORMATS` holds, under the file's own names.

    Returns:
        The columns, and (3,) where the sensor was; None: the file does not say.

    Raises:
        FileNotFoundError: The file does not exist.
        InputError: ``unsupported`` format, or ``malformed``; the text names the file.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError("unsupported", f"{path}: got a folder, expected a file in it")
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(
            "unsupported",
            f"{path}: got the format '{path.suffix}', expected one of {', '.join(FORMATS)}",
        )
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    return reader(path)


def read_cloud_file(path: str | Path) -> CloudFile:
    """Read the point cloud of a file of one of :data:`FORMATS`.

    Colours may be fractions, 8 or 16 bits. A .pcd's VIEWPOINT and the pose of a single scan in an
    .e57 become ``sensor``.

    Raises:
        FileNotFoundError: The file does not exist.
        InputError: ``unsupported`` format, ``malformed``, ``no_xyz`` or ``empty``; the text names
            the file.
    """
    path = Path(path)
    columns, sensor = read_columns(path)
    try:
        return _cloud_file(path, columns, sensor)
    except InputError as error:
        raise InputError(error.reason, f"{path}: {error}") from None


def _cloud_file(path: Path, columns: Columns, sensor: np.ndarray | None) -> CloudFile:
    arrays = known_arrays(columns)
    points = arrays.get("points")
    if points is None:
        raise InputError(
            "no_xyz",
            f"got {', '.join(columns) or 'nothing'}, expected x, y and z, or an array named"
            f" {' or '.join(ARRAYS['points'][:4])}",
        )
    points = _rows("points", points, None, 3).astype(np.float64)
    finite = np.flatnonzero((np.abs(points) <= FARTHEST).all(axis=1))
    if len(finite) == 0:
        raise InputError(
            "empty", f"got {len(points)} points, none of them finite, expected at least one"
        )

    def take(name: str, width: int) -> np.ndarray | None:
        if name not in arrays:
            return None
        return _rows(name, arrays[name], len(points), width)[finite]

    colors, normals, intensity = take("colors", 3), take("normals", 3), take("intensity", 1)
    own = points[finite]
    offset = local_offset(own)
    if sensor is not None and np.abs(sensor - offset).max() > FLOAT32_REACH:
        sensor = None  # the default of a header, zeros, and not near a georeferenced cloud
    single = own.astype(np.float32)
    frame = Frame(
        points=(own - offset).astype(np.float32),
        stamp=0,
        frame_id=path.stem,
        source=path.name,
        colors=None if colors is None else rgb_bytes(colors),
        normals=None if normals is None else unit_rows(normals),
        intensity=None if intensity is None else intensity[:, 0].astype(np.float32),
        origin=(np.zeros(3) if sensor is None else sensor) - offset,
    )
    kept = single if (single == own).all() else own
    label = _labels(columns, finite, len(points))
    return CloudFile(frame, offset, kept, sensor, len(points) - len(finite), label)


def _labels(columns: Columns, finite: np.ndarray, count: int) -> np.ndarray | None:
    """Return the labels of the finite ones of ``count`` points; None where there are none.

    Labels are whole numbers of at least two values: programs that write a column of labels for
    every cloud, as those for .las do, leave it constant where nobody has labelled it.
    """
    name = find_column(columns, LABELS)
    if name is None:
        return None
    column = columns[name]
    column = column[:, 0] if column.ndim == 2 and column.shape[1] == 1 else column
    if column.shape != (count,) or column.dtype.kind not in "fiu":
        return None
    values = column[finite]
    whole = np.isfinite(values).all() and (np.abs(values) < 2**53).all()
    if not whole or (values != np.rint(values)).any() or (values == values[0]).all():
        return None
    return values.astype(np.int64)


def _rows(name: str, array: np.ndarray, count: int | None, width: int) -> np.ndarray:
    """Return the array as (count, width) after checking its shape and type."""
    if width == 1 and array.ndim == 1:
        array = array[:, None]
    expected = f"numbers of shape ({'N' if count is None else count}, {width})"
    right = array.ndim == 2 and array.shape[1] >= width and array.dtype.kind in "fiub"
    if not right or (count is not None and len(array) != count):
        raise InputError(
            "malformed", f"{name}: got {array.dtype} of shape {array.shape}, expected {expected}"
        )
    if name == "points" and array.shape[0] == width < array.shape[1]:
        raise InputError(
            "malformed",
            f"{name}: got shape {array.shape}, which looks transposed, expected {expected}",
        )
    return array[:, :width]

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Point clouds as arrays: .npz, .npy, and the .bin scans of KITTI and nuScenes."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from concerto_ros.sensors.cloud_files.columns import (
    ARRAYS,
    Columns,
    find_column,
    named,
    structured,
)
from concerto_ros.sensors.cloud_files.text import positional_columns
from concerto_ros.sensors.input_error import InputError

#: Metres beyond which a laser measures nothing; where many points lie, the file is something else.
FARTHEST_RETURN = 5_000.0


def read_numpy(path: Path) -> Columns:
    """Read the arrays of an .npz by their names, or an .npy (N, 3 or more) as columns.

    The columns of an array without names are told as in a text file; a structured array names
    them. Of an .npz, arrays of Python objects are left out.

    Raises:
        InputError: ``malformed``: it is neither, or holds Python objects instead of points.
    """
    objects: list[str] = []
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return _of_array(path, loaded)
        columns: Columns = {}
        with loaded as archive:
            for name in archive.files:
                try:
                    columns[name] = archive[name]
                except ValueError as error:
                    if "Object arrays" not in str(error):
                        raise
                    objects.append(name)
    except InputError:
        raise
    except Exception as error:  # zipfile, zlib and NumPy each raise their own types
        why = _fault(error)
        raise InputError("malformed", f"{path}: not a readable {path.suffix}: {why}") from None
    if objects and find_column(columns, ARRAYS["points"]) is None:
        raise InputError(
            "malformed",
            f"{path}: got Python objects in {', '.join(objects)}, expected arrays of numbers",
        )
    if list(columns) == ["arr_0"]:
        return _of_array(path, columns["arr_0"])
    return columns


def _of_array(path: Path, array: np.ndarray) -> Columns:
    if array.dtype.names:
        return structured(array.reshape(-1))
    if array.ndim != 2 or array.shape[1] < 3 or array.dtype.kind not in "fiu":
        raise InputError(
            "malformed",
            f"{path}: got {array.dtype} of shape {array.shape}, expected numbers of shape (N, 3)",
        )
    try:
        return positional_columns(array)
    except ValueError as error:
        raise InputError(
            "malformed",
            f"{path}: {error}; or save an .npz with arrays named points, colors, normals",
        ) from None


def _fault(error: Exception) -> str:
    """Say what is wrong without NumPy's advice to load objects, which runs code of the file."""
    if isinstance(error, zipfile.BadZipFile):
        return "it is cut short or damaged"
    if "Object arrays" in str(error):
        return "it holds Python objects, expected arrays of numbers"
    if "pickle" in str(error):
        return "it is damaged or of another format"
    return str(error)


def read_bin(path: Path) -> Columns:
    """Read a scan of four float32 per point, as KITTI's, or of five, as nuScenes' ``.pcd.bin``.

    They are x, y, z, intensity and, of five, the number of the laser, by which they are told.

    Raises:
        InputError: ``malformed``: the size or the values are those of another file.
    """
    content = path.read_bytes()
    if len(content) % 4:
        raise InputError(
            "malformed", f"{path}: got {len(content)} bytes, expected 16 or 20 for each point"
        )
    numbers = np.frombuffer(content, "<f4")
    for names in (("x", "y", "z", "intensity", "ring"), ("x", "y", "z", "intensity")):
        if len(numbers) % len(names):
            continue
        table = numbers.reshape(-1, len(names))
        if len(names) == 5 and len(numbers) % 4 == 0 and not _is_ring(table[:, 4]):
            continue
        with np.errstate(invalid="ignore"):
            far = np.abs(table[:, :3]).max(axis=1, initial=0) > FARTHEST_RETURN
        if np.count_nonzero(far) > len(table) // 100:
            break
        return named(names, table)
    raise InputError(
        "malformed",
        f"{path}: got {len(content)} bytes that are not a LiDAR scan, expected four float32"
        " (x, y, z, intensity) or five (and the number of the laser) for each point",
    )


def _is_ring(values: np.ndarray) -> bool:
    with np.errstate(invalid="ignore"):
        return bool(((values == np.rint(values)) & (values >= 0) & (values < 256)).all())

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Point clouds from .ply, .pcd, .npz, .las and .laz files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from concerto_ros.sensors.frame import Frame
from concerto_ros.sensors.input_error import InputError
from concerto_ros.sensors.normals import unit_vectors
from concerto_ros.sensors.ply import read_ply

#: float32 resolves 1 mm up to about this many metres; files farther out are moved to the origin.
FLOAT32_LIMIT = 8_000.0

XYZ_KEYS = ("points", "xyz", "coord", "coords", "positions")
COLOR_KEYS = ("colors", "color", "rgb")
NORMAL_KEYS = ("normals", "normal")
INTENSITY_KEYS = ("intensity", "reflectivity", "i", "scalar_Intensity", "scalar_intensity")


@dataclass(frozen=True, eq=False)
class CloudFile:
    """The point cloud of a file.

    Attributes:
        frame: The finite points, relative to ``offset``; stamp 0, ``frame_id`` the file's stem.
        offset: (3,) float64, metres, whole numbers; add it to get the file's own coordinates.
            Zeros except for georeferenced files, whose coordinates exceed float32.
    """

    frame: Frame
    offset: np.ndarray


def read_cloud(path: str | Path) -> Frame:
    """Read the finite points of a file; see :func:`read_cloud_file`."""
    return read_cloud_file(path).frame


def read_cloud_file(path: str | Path) -> CloudFile:
    """Read a .ply, .pcd, .npz, .las or .laz file.

    An .npz holds points under one of ``points, xyz, coord, coords, positions`` and may hold
    ``colors, color, rgb``, ``normals, normal`` and ``intensity, reflectivity``, each with one row
    per point. Colours may be 0..255 or fractions up to 1. A .pcd's VIEWPOINT becomes ``origin``.

    Raises:
        FileNotFoundError: The file does not exist.
        InputError: ``unsupported`` format, ``malformed``, ``no_xyz`` or ``empty``; the text names
            the file.
    """
    path = Path(path)
    readers: dict[str, Callable[[Path], dict[str, np.ndarray]]] = {
        ".ply": _read_ply,
        ".pcd": _read_pcd,
        ".npz": _read_npz,
        ".las": _read_las,
        ".laz": _read_las,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        known = ", ".join(readers)
        raise InputError(
            "unsupported", f"{path}: got the format '{path.suffix}', expected one of {known}"
        )
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    arrays = reader(path)
    return _cloud_file(path, arrays)


def _cloud_file(path: Path, arrays: dict[str, np.ndarray]) -> CloudFile:
    points = arrays.get("points")
    if points is None:
        raise InputError("no_xyz", f"{path}: got no x, y and z, expected points")
    points = _rows(path, "points", points, None, 3).astype(np.float64)
    finite = np.flatnonzero(np.isfinite(points).all(axis=1))
    if len(finite) == 0:
        raise InputError(
            "empty",
            f"{path}: got {len(points)} points, none of them finite, expected at least one",
        )
    offset = np.zeros(3)
    if np.abs(points[finite]).max() > FLOAT32_LIMIT:
        offset = np.floor(points[finite].min(axis=0))

    def take(name: str, columns: int) -> np.ndarray | None:
        if name not in arrays:
            return None
        return _rows(path, name, arrays[name], len(points), columns)[finite]

    colors, normals, intensity = take("colors", 3), take("normals", 3), take("intensity", 1)
    frame = Frame(
        points=(points[finite] - offset).astype(np.float32),
        stamp=0,
        frame_id=path.stem,
        source=path.name,
        colors=None if colors is None else rgb_bytes(colors),
        normals=None if normals is None else unit_rows(normals),
        intensity=None if intensity is None else intensity[:, 0].astype(np.float32),
        origin=arrays.get("origin", np.zeros(3)) - offset,
    )
    return CloudFile(frame, offset)


def _rows(path: Path, name: str, array: np.ndarray, count: int | None, columns: int) -> np.ndarray:
    """Return the array as (count, columns) after checking its shape and type."""
    if columns == 1 and array.ndim == 1:
        array = array[:, None]
    expected = f"numbers of shape ({'N' if count is None else count}, {columns})"
    right = array.ndim == 2 and array.shape[1] >= columns and array.dtype.kind in "fiub"
    if not right or (count is not None and len(array) != count):
        got = f"{array.dtype} of shape {array.shape}"
        raise InputError("malformed", f"{path}: {name}: got {got}, expected {expected}")
    return array[:, :columns]


def rgb_bytes(colors: np.ndarray) -> np.ndarray:
    """Convert RGB colours (N, 3) of any number type to uint8.

    Floats up to 1 are scaled by 255, integers above 255 are 16-bit and divided by 257.
    """
    if colors.dtype == np.uint8:
        return colors
    numbers = np.nan_to_num(colors.astype(np.float64), posinf=0, neginf=0)
    highest = numbers.max(initial=0)
    if colors.dtype.kind == "f" and highest <= 1:
        numbers *= 255
    elif colors.dtype.kind in "ui" and highest > 255:
        numbers /= 257
    return np.clip(np.rint(numbers), 0, 255).astype(np.uint8)


def unit_rows(normals: np.ndarray) -> np.ndarray:
    """Normalise vectors (N, 3) to float32 of length one; rows of zeros or NaN become zeros."""
    normals = np.nan_to_num(normals.astype(np.float64), posinf=0, neginf=0)
    return unit_vectors(normals, shortest=0).astype(np.float32)


def _read_ply(path: Path) -> dict[str, np.ndarray]:
    vertices = read_ply(path)
    names: dict[str, list[tuple[str, ...]]] = {
        "points": [("x", "y", "z")],
        "colors": [("red", "green", "blue"), ("r", "g", "b")],
        "normals": [("nx", "ny", "nz"), ("normal_x", "normal_y", "normal_z")],
        "intensity": [(key,) for key in INTENSITY_KEYS],
    }
    arrays = {}
    for name, choices in names.items():
        for properties in choices:
            if set(properties) <= set(vertices.dtype.names or ()):
                arrays[name] = np.stack([vertices[p] for p in properties], axis=1)
                break
    return arrays


def _read_pcd(path: Path) -> dict[str, np.ndarray]:
    import open3d as o3d

    try:
        with o3d.utility.VerbosityContextManager(o3d.utility.VerbosityLevel.Error):
            cloud = o3d.t.io.read_point_cloud(path)
    except RuntimeError as error:
        raise InputError("malformed", f"{path}: {error}") from None
    if "positions" not in cloud.point or len(cloud.point["positions"]) == 0:
        raise InputError("malformed", f"{path}: got no readable points, expected a .pcd")
    arrays = {"origin": _pcd_viewpoint(path)}
    for name in cloud.point:
        values = cloud.point[name].numpy()
        if name in INTENSITY_KEYS:
            arrays.setdefault("intensity", values)
        elif name in ("positions", "colors", "normals"):
            arrays["points" if name == "positions" else name] = values
    return arrays


def _pcd_viewpoint(path: Path) -> np.ndarray:
    """Read where the sensor was: tx ty tz of the header line VIEWPOINT tx ty tz qw qx qy qz."""
    with path.open("rb") as file:
        for line in file:
            words = line.split()
            if words[:1] == [b"VIEWPOINT"] and len(words) >= 4:
                try:
                    origin = np.array([float(w) for w in words[1:4]])
                except ValueError:
                    break
                return origin if np.isfinite(origin).all() else np.zeros(3)
            if words[:1] == [b"DATA"]:
                break
    return np.zeros(3)


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    names = {
        "points": XYZ_KEYS,
        "colors": COLOR_KEYS,
        "normals": NORMAL_KEYS,
        "intensity": INTENSITY_KEYS,
    }
    arrays = {}
    try:
        with np.load(path, allow_pickle=False) as archive:
            for name, keys in names.items():
                key = next((k for k in keys if k in archive.files), None)
                if key is not None:
                    arrays[name] = archive[key]
            if "points" not in arrays:
                raise InputError(
                    "no_xyz",
                    f"{path}: got arrays {', '.join(archive.files)}, expected one of"
                    f" {', '.join(XYZ_KEYS)} among them",
                )
    except InputError:
        raise
    except Exception as error:  # zipfile, zlib and NumPy each raise their own types
        raise InputError("malformed", f"{path}: not a readable .npz ({error})") from None
    return arrays


def _read_las(path: Path) -> dict[str, np.ndarray]:
    try:
        import laspy
    except ImportError:
        raise InputError(
            "unsupported", f"{path}: reading .las and .laz files needs: pip install 'laspy[lazrs]'"
        ) from None
    try:
        las = laspy.read(path)
        dimensions = set(las.point_format.dimension_names)
        arrays = {"points": np.stack([las.x, las.y, las.z], axis=1)}
        if {"red", "green", "blue"} <= dimensions:
            arrays["colors"] = np.stack([las.red, las.green, las.blue], axis=1)
        if "intensity" in dimensions:
            arrays["intensity"] = np.asarray(las.intensity)
    except Exception as error:  # laspy, its decompressors and struct each raise their own
        raise InputError("malformed", f"{path}: not a readable .las or .laz ({error})") from None
    return arrays

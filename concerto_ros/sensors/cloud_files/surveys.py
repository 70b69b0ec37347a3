# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Formats of surveyors: .las and .laz by laspy, .e57 by pye57; both optional."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from concerto_ros.sensors.cloud_files.columns import Columns
from concerto_ros.sensors.input_error import InputError

COLORS = ("red", "green", "blue")


def read_las(path: Path) -> Columns:
    """Read the dimensions of a .las or .laz file; x, y and z are scaled, metres.

    Colours that are all zero are left out: the format demands some where none were measured.

    Raises:
        InputError: ``malformed``, or ``unsupported``: laspy is missing, or the coordinates are
            degrees.
    """
    laspy = _imported(
        "laspy", path, "reading .las and .laz files needs: pip install 'laspy[lazrs]'"
    )
    _check_records(path)
    expected: int | None = None
    try:
        with laspy.open(path) as file:
            expected = file.header.point_count
            degrees = _in_degrees(file.header)
            if file.header.are_points_compressed:
                _check_chunks(path, file.header)
            else:
                _check_size(path, file.header)
            las = file.read()
        dimensions = list(las.point_format.dimension_names)
        columns = {axis: np.asarray(las[axis], np.float64) for axis in "xyz"}
        columns |= {name: np.asarray(las[name]) for name in dimensions if name not in "XYZ"}
    except (InputError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # laspy, struct; and panics of lazrs, which are no Exception
        counted = "" if expected is None else f", expected {expected} points"
        raise InputError(
            "malformed", f"{path}: not a readable .las or .laz: got '{error}'{counted}"
        ) from None
    if degrees:
        raise InputError(
            "unsupported",
            f"{path}: got coordinates in degrees (longitude and latitude), expected metres;"
            " project them first, for example: pdal translate IN OUT reprojection"
            " --filters.reprojection.out_srs=EPSG:32632",
        )
    if set(COLORS) <= columns.keys() and not any(columns[name].any() for name in COLORS):
        for name in COLORS:
            del columns[name]
    return columns


def _check_records(path: Path) -> None:
    """Check how many records the header declares; laspy reads on, however short the file is."""
    size = path.stat().st_size
    with path.open("rb") as file:
        header = file.read(247)
    extended = int.from_bytes(header[243:247], "little") if header[24:26] == b"\1\4" else 0
    records = int.from_bytes(header[100:104], "little")
    if 54 * records + 60 * extended > size:  # bytes of the head of each
        raise InputError(
            "malformed",
            f"{path}: cut short or damaged: got {size} bytes, expected room for"
            f" {records + extended} records of the header",
        )


def _check_size(path: Path, header: Any) -> None:
    """Check that a .las file holds all its points; laspy itself returns those that are there."""
    size = path.stat().st_size - header.offset_to_point_data
    got = max(0, size) // header.point_format.size
    if got < header.point_count:
        raise InputError(
            "malformed", f"{path}: cut short: got {got} points, expected {header.point_count}"
        )


def _check_chunks(path: Path, header: Any) -> None:
    """Check the number of chunks of a .laz file; lazrs ends the process where memory is short."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(min(header.offset_to_point_data, size))
        table = int.from_bytes(file.read(8), "little", signed=True)
        if table == -1:  # written as a stream: the position is in the last bytes
            file.seek(max(0, size - 8))
            table = int.from_bytes(file.read(8), "little", signed=True)
        file.seek(min(max(0, table), size))
        chunks = int.from_bytes(file.read(8)[4:], "little")
    if not 0 < table <= size - 8 or chunks > size:
        raise InputError(
            "malformed",
            f"{path}: cut short or damaged: got {size} bytes and {chunks} chunks from byte"
            f" {table}, expected {header.point_count} points",
        )


def _in_degrees(header: Any) -> bool:
    """Whether the coordinate system in the header is one of longitudes and latitudes."""
    texts = [bytes(vlr.record_data_bytes()) for vlr in header.vlrs if vlr.record_id == 2112]
    return any(text.lstrip().startswith((b"GEOGCS[", b"GEOGCRS[")) for text in texts)


def read_e57(path: Path) -> tuple[Columns, np.ndarray | None]:
    """Read the scans of an .e57 file in the file's common frame, one after the other.

    Returns:
        The columns, and (3,) where the scanner was if the file holds one scan with a pose.

    Raises:
        InputError: ``malformed``, or ``unsupported``: pye57 is missing.
    """
    pye57 = _imported("pye57", path, "reading .e57 files needs: pip install pye57")
    scans: list[Columns] = []
    origin: np.ndarray | None = None
    file = None
    try:
        file = pye57.E57(str(path))
        for index in range(file.scan_count):
            data = file.read_scan(index, colors=True, intensity=True, ignore_missing_fields=True)
            scans.append({name: np.asarray(values) for name, values in data.items()})
        if file.scan_count == 1 and file.get_header(0).has_pose():
            origin = np.asarray(file.scan_position(0), np.float64).reshape(3)
    except Exception as error:  # libE57 raises its own, pye57 several of Python's
        why = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError("malformed", f"{path}: not a readable .e57: {why}") from None
    finally:
        if file is not None:
            file.close()
    if not scans:
        raise InputError("empty", f"{path}: got no scans, expected at least one")
    shared = [name for name in scans[0] if all(name in scan for scan in scans)]
    columns = {name: np.concatenate([scan[name] for scan in scans]) for name in shared}
    plain = {"cartesian": "", "color": ""}
    for prefix, other in plain.items():
        columns = {
            (name.replace(prefix, other, 1).lower() if name.startswith(prefix) else name): values
            for name, values in columns.items()
        }
    return columns, origin


def _imported(name: str, path: Path, advice: str) -> Any:
    try:
        return __import__(name)
    except ImportError:
        raise InputError("unsupported", f"{path}: {advice}") from None

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The .ply format: reading vertices, and writing labelled clouds."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from concerto_ros.sensors.input_error import InputError

#: Names of number types in a header, and their NumPy types.
TYPES = {
    "char": "i1",
    "uchar": "u1",
    "short": "i2",
    "ushort": "u2",
    "int": "i4",
    "uint": "u4",
    "float": "f4",
    "double": "f8",
    "int8": "i1",
    "uint8": "u1",
    "int16": "i2",
    "uint16": "u2",
    "int32": "i4",
    "uint32": "u4",
    "float32": "f4",
    "float64": "f8",
}

FORMATS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}

#: A file with a longer header is refused.
MAX_HEADER_LINES = 1000


def read_ply(path: Path) -> np.ndarray:
    """Read the vertices of a .ply file.

    Returns:
        A structured array (N,) with the file's property names.

    Raises:
        InputError: ``malformed``: not a .ply, a list among the vertex properties, or truncated.
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        order, count, properties = _read_header(path, file)
        if not properties or len(dict(properties)) < len(properties):
            raise _malformed(
                path, "got missing or duplicate vertex properties, expected unique ones"
            )
        dtype = np.dtype([(name, (order or "=") + number) for name, number in properties])
        content = file.read()
    if order:
        if len(content) < count * dtype.itemsize:
            expected = f"{count} vertices of {dtype.itemsize} bytes"
            raise _malformed(
                path, f"truncated: got {len(content)} bytes after the header, expected {expected}"
            )
        return np.frombuffer(content, dtype, count)
    if count == 0:
        return np.empty(0, dtype)
    lines = content.splitlines()[:count]
    if len(lines) < count:
        raise _malformed(path, f"truncated: got {len(lines)} vertices, expected {count}")
    try:
        text = io.StringIO(b"\n".join(lines).decode("ascii"))
        columns = range(len(properties))
        values = np.loadtxt(text, np.float64, ndmin=2, usecols=columns)
    except (ValueError, IndexError) as error:
        raise _malformed(path, f"a vertex cannot be read ({error})") from None
    if len(values) != count:
        raise _malformed(path, f"got {len(values)} readable vertices, expected {count}")
    vertices = np.empty(count, dtype)
    for i, (name, _) in enumerate(properties):
        with np.errstate(invalid="ignore", over="ignore"):
            vertices[name] = values[:, i]
    return vertices


def _malformed(path: Path, why: str) -> InputError:
    return InputError("malformed", f"{path}: not a readable .ply: {why}")


def _read_header(path: Path, file: BinaryIO) -> tuple[str, int, list[tuple[str, str]]]:
    """Read byte order ("" for ascii), number of vertices, and (name, type) of their properties."""
    order, count = None, None
    properties: list[tuple[str, str]] = []
    if file.readline(100).split() != [b"ply"]:
        raise _malformed(path, "the first line is not 'ply'")
    in_vertices = False
    for _ in range(MAX_HEADER_LINES):
        line = file.readline(1000)
        words = line.decode("ascii", "replace").split()
        if words[:1] == ["end_header"]:
            if order is None or count is None:
                raise _malformed(path, "the header lacks the format or the element vertex")
            return order, count, properties
        if words[:1] == ["format"] and len(words) == 3 and words[1] in FORMATS:
            order = FORMATS[words[1]]
        elif words[:1] == ["element"] and len(words) == 3 and words[2].isdecimal():
            in_vertices = words[1] == "vertex"
            if in_vertices:
                count = int(words[2])
            elif count is None:
                raise _malformed(path, f"element {words[1]} comes before the vertices")
        elif words[:1] == ["property"] and in_vertices:
            if len(words) != 3 or words[1] not in TYPES:
                raise _malformed(
                    path, f"vertex property: got '{' '.join(words[1:])}', expected a number"
                )
            properties.append((words[2], TYPES[words[1]]))
        elif words[:1] not in (["property"], ["comment"], ["obj_info"], []) or not line:
            raise _malformed(path, f"unexpected header line '{' '.join(words)[:80]}'")
    raise _malformed(path, f"got no end_header within {MAX_HEADER_LINES} lines")


def write_labelled_ply(
    path: str | Path,
    points: np.ndarray,
    rgb: np.ndarray,
    label: np.ndarray | None = None,
    confidence: np.ndarray | None = None,
    comment: str | Sequence[str] = (),
) -> None:
    """Write a binary .ply that CloudCompare, MeshLab, PCL and open3d read.

    Args:
        path: The file to write.
        points: (N, 3) metres; float64 is written as double, anything else as float.
        rgb: (N, 3) uint8.
        label: (N,) integers, written as int ``label`` (open3d skips unsigned ones).
        confidence: (N,) in [0, 1], written as float ``confidence``.
        comment: Lines for the header, e.g. which model labelled it.

    Raises:
        ValueError: An array has another number of rows than ``points``.
        OSError: The file cannot be written.
    """
    count = len(points)
    real, real_name = ("<f8", "double") if points.dtype == np.float64 else ("<f4", "float")
    columns = [(axis, real, real_name, points[:, i]) for i, axis in enumerate("xyz")]
    columns += [
        (name, "u1", "uchar", rgb[:, i]) for i, name in enumerate(("red", "green", "blue"))
    ]
    if label is not None:
        columns.append(("label", "<i4", "int", label))
    if confidence is not None:
        columns.append(("confidence", "<f4", "float", confidence))
    for name, _, _, values in columns:
        if len(values) != count:
            raise ValueError(f"{name}: got {len(values)} rows, expected {count} as in points")

    vertices = np.empty(count, [(name, number) for name, number, _, _ in columns])
    for name, _, _, values in columns:
        vertices[name] = values
    lines = comment.splitlines() if isinstance(comment, str) else list(comment)
    header = ["ply", "format binary_little_endian 1.0"]
    header += [f"comment {' '.join(line.split())}" for line in lines]
    header += [f"element vertex {count}"]
    header += [f"property {ply_name} {name}" for name, _, ply_name, _ in columns]
    header += ["end_header", ""]
    with Path(path).open("wb") as file:
        file.write("\n".join(header).encode("ascii", "replace"))
        file.write(vertices.tobytes())

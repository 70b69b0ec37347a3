# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Point clouds as text: .xyz, .txt, .csv, .pts, .asc, with or without names of the columns."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from concerto_ros.sensors.cloud_files.columns import Columns, named
from concerto_ros.sensors.cloud_files.number_text import TableError, parse_table
from concerto_ros.sensors.colors import OVERSHOOT
from concerto_ros.sensors.input_error import InputError

#: What begins a remark. CloudCompare writes the names of the columns after the second.
REMARK = re.compile(r"\s*(#|//|%|!)\s*")

#: A cell that is a number, also as Microsoft's library writes NaN.
_NUMBER = re.compile(r"[-+]?(\d|\.\d|(nan|inf|infinity)\b)", re.IGNORECASE)

XYZ = ("x", "y", "z")
RGB = ("r", "g", "b")
NORMAL = ("nx", "ny", "nz")


def read_text(path: Path) -> Columns:
    """Read the columns of a text file.

    They are separated by white space, commas, semicolons or tabs. A first line of words, also as a
    remark (``#``, ``//``), names them; else they are told by their number, see
    :func:`positional_columns`. A single whole number before the rows counts them, as in .pts.

    Raises:
        InputError: ``malformed``; the text names the file, the row and what is expected.
        OSError: The file cannot be read.
    """
    try:
        return _columns(path.read_bytes(), path.suffix.lower() == ".pts")
    except (ValueError, TableError) as error:
        raise InputError("malformed", f"{path}: not readable as columns: {error}") from None


def _columns(content: bytes, is_pts: bool) -> Columns:
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = content.decode("utf-16", "replace")
    else:
        text = content.decode("utf-8-sig", "replace")
    if "\0" in text:
        raise ValueError("got binary data, expected text")
    names, lines = _names_and_rows([line for line in text.splitlines() if line.strip()])
    if not lines:
        raise ValueError("got no row of numbers, expected one for each point")
    delimiter = _delimiter(lines[0])
    counts = [line for line in lines if re.fullmatch(r"\s*\d+\s*", line)] if names is None else []
    if counts and len(lines) > 1:
        # Several scans follow each other in one .pts file, each after its number of points.
        lines = [line for line in lines if not re.fullmatch(r"\s*\d+\s*", line)]
        delimiter = _delimiter(lines[0]) if lines else None
        expected = sum(int(line) for line in counts)
        if len(lines) != expected:
            raise ValueError(f"got {len(lines)} rows, expected {expected} as counted in the file")
    if delimiter == ";" and any("," in line for line in lines[:100]):
        lines = [line.replace(",", ".") for line in lines]  # decimal commas
    if names is None:
        return positional_columns(parse_table(lines, None, delimiter), is_pts)
    return named(names, parse_table(lines, len(names), delimiter))


def _names_and_rows(lines: list[str]) -> tuple[list[str] | None, list[str]]:
    """Split the names of the columns, None without names, from the rows; drop remarks."""
    names: list[str] | None = None
    named_by_remark = False
    for number, line in enumerate(lines):
        remark = REMARK.match(line)
        words = [_plain_word(word) for word in _split(line[remark.end() :] if remark else line)]
        is_names = not any(_NUMBER.match(word) for word in words)
        if is_names and (remark is None or {*XYZ} <= {word.lower() for word in words}):
            names, named_by_remark = words, remark is not None
        elif remark is None:
            if named_by_remark and names and len(names) != len(_split(line)):
                names = None  # a sentence with x, y and z in it
            return names, [row for row in lines[number:] if not REMARK.match(row)]
    return names, []


def _plain_word(word: str) -> str:
    """Return the name of a column without quotes and unit: ``"X [m]"`` is X."""
    return re.sub(r"[\[(].*", "", word.strip().strip("\"'")).strip()


def _delimiter(row: str) -> str | None:
    """Return what separates the cells of a row; None: white space."""
    for delimiter in (";", "\t", ","):
        if delimiter in row.strip():
            return None if delimiter == "\t" and "\t\t" not in row else delimiter
    return None


def _split(line: str) -> list[str]:
    return line.strip().rstrip(";,").split(_delimiter(line))


def positional_columns(table: np.ndarray, intensity_first: bool = False) -> Columns:
    """Name the columns of a table (N, k) by their number.

    3: x y z. 4: and intensity. 6: and colours, or normals where they are unit vectors. 7:
    intensity and colours, or colours and something else, as the values tell. 9 and more: colours
    and normals in either order.

    Args:
        table: (N, k) numbers.
        intensity_first: Whether the fourth of seven columns is the intensity, as in .pts.

    Raises:
        ValueError: The number of columns or the values do not tell what they are.
    """
    count = table.shape[1]
    columns = named(XYZ, table[:, :3]) if count >= 3 else {}
    rest = [table[:, i : i + 3] for i in (3, 4, 6)]
    if len(table) in (3, 4, 6) and count > 9:
        raise ValueError(f"got {len(table)} rows of {count} numbers, which look transposed")
    if count == 3:
        return columns
    if count in (4, 5) and not (count == 5 and intensity_first):
        return columns | named(("intensity",), table[:, 3:4])
    if count == 6 and _unit(rest[0]):
        return columns | named(NORMAL, rest[0])
    if count == 6 and _colors(rest[0], 65535):
        return columns | named(RGB, rest[0])
    if count == 7 and (intensity_first or (_colors(rest[1]) and not _colors(rest[0]))):
        return columns | named(("intensity", *RGB), table[:, 3:7])
    if count == 7 and _colors(rest[0]) and not _colors(rest[1]):
        return columns | named(RGB, rest[0])
    if count >= 9 and _unit(rest[0]) and _colors(rest[2]):
        return columns | named(NORMAL, rest[0]) | named(RGB, rest[2])
    if count >= 9 and _colors(rest[0]) and _unit(rest[2]):
        return columns | named(RGB, rest[0]) | named(NORMAL, rest[2])
    raise ValueError(
        f"got {count} columns whose meaning is not clear, expected x y z, x y z intensity,"
        " x y z r g b or names in the first line such as 'x y z r g b label'"
    )


def _unit(values: np.ndarray) -> bool:
    """Whether the rows (N, 3) are unit vectors, or zero; not all of them zero."""
    with np.errstate(invalid="ignore", over="ignore"):
        length = np.linalg.norm(values, axis=1)
        unit = np.abs(length - 1) < 0.01
        return bool(unit.any() and (unit | (length == 0) | ~np.isfinite(length)).all())


def _colors(values: np.ndarray, highest: int = 255) -> bool:
    """Whether (N, 3) may be colours: whole numbers up to ``highest``, or fractions."""
    with np.errstate(invalid="ignore"):
        whole = (values == np.rint(values)) & (values <= highest) & (values >= 0)
        fractions = (values >= 0) & (values <= OVERSHOOT)
    return bool(whole.all() or fractions.all())

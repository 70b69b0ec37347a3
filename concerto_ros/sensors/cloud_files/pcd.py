# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The .pcd format of PCL, versions 0.5 to 0.7: ascii, binary and binary_compressed.

https://pointclouds.org/documentation/tutorials/pcd_file_format.html. Open3D's reader corrupts
memory where two fields have the same name and returns uninitialised memory for files cut short;
pypcd4 reads half of such files without a word, and shifts columns where a name holds a colon.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from concerto_ros.sensors.cloud_files.columns import PACKED_COLOR, Columns
from concerto_ros.sensors.cloud_files.number_text import TableError, parse_table
from concerto_ros.sensors.input_error import InputError

log = logging.getLogger(__name__)

#: NumPy types of TYPE.
KINDS = {"F": "f", "U": "u", "I": "i"}
SIZES = {"F": (4, 8), "U": (1, 2, 4, 8), "I": (1, 2, 4, 8)}

#: Bytes that one compressed byte can stand for, at most (three stand for 264).
LZF_RATIO = 100


@dataclass(frozen=True)
class _Header:
    """Names, types and counts of the fields, and what POINTS and WIDTH x HEIGHT say."""

    names: list[str]
    dtypes: list[np.dtype]
    counts: list[int]
    points: tuple[int, ...]
    origin: np.ndarray
    data: str

    @property
    def record(self) -> np.dtype:
        """One point; fields are numbered, because names repeat."""
        shapes = zip(self.dtypes, self.counts, strict=True)
        return np.dtype([(str(i), t, (n,)) for i, (t, n) in enumerate(shapes)])


def read_pcd(path: Path) -> tuple[Columns, np.ndarray]:
    """Read the fields of a .pcd file, without padding (``_``); of equal names the first counts.

    Returns:
        The columns, and (3,) float64 where the sensor was (VIEWPOINT), metres.

    Raises:
        InputError: ``malformed``: header and data do not agree; the text names the file.
        OSError: The file cannot be read.
    """
    content = path.read_bytes()
    try:
        header, body = _header(content)
        columns = {"ascii": _ascii, "binary": _binary, "binary_compressed": _compressed}[
            header.data
        ](header, body)
    except (ValueError, TableError) as error:
        raise InputError("malformed", f"{path}: not a readable .pcd: {error}") from None
    named: Columns = {}
    for name, values in zip(header.names, columns, strict=True):
        if name != "_" and values.shape[1]:
            named.setdefault(name, values[:, 0] if values.shape[1] == 1 else values)
    return named, header.origin


def _header(content: bytes) -> tuple[_Header, memoryview]:
    data_line = re.search(rb"^[ \t]*DATA[ \t]+(\w+)[ \t]*\r?(?:\n|\Z)", content, re.M | re.I)
    if data_line is None:
        raise ValueError("got no line 'DATA ascii', 'DATA binary' or 'DATA binary_compressed'")
    data = data_line[1].decode("ascii", "replace").lower()
    if data not in ("ascii", "binary", "binary_compressed"):
        raise ValueError(f"DATA: got {data!r}, expected ascii, binary or binary_compressed")
    entries: dict[str, list[str]] = {}
    for line in content[: data_line.start()].decode("utf-8", "replace").splitlines():
        words = line.split()
        if words and not words[0].startswith("#"):
            entries.setdefault(words[0].upper(), words[1:])
    names = entries.get("FIELDS") or entries.get("COLUMNS")
    if not names:
        raise ValueError("got no line FIELDS, expected one such as 'FIELDS x y z'")
    if data != "ascii" and not ("SIZE" in entries and "TYPE" in entries):
        raise ValueError(f"got no line SIZE or TYPE, expected both with DATA {data}")
    sizes = _whole_numbers(entries, "SIZE", len(names), 4)
    counts = _whole_numbers(entries, "COUNT", len(names), 1)
    kinds = [kind.upper() for kind in entries.get("TYPE", ["F"] * len(names))]
    if len(kinds) != len(names):
        raise ValueError(f"TYPE: got {len(kinds)} entries, expected {len(names)} as in FIELDS")
    for kind, size in zip(kinds, sizes, strict=True):
        if kind not in SIZES or size not in SIZES[kind]:
            raise ValueError(
                f"TYPE and SIZE: got {kind} of {size} bytes, expected F of 4 or 8, or I or U of"
                " 1, 2, 4 or 8"
            )
    header = _Header(
        names=names,
        dtypes=[np.dtype(f"<{KINDS[k]}{s}") for k, s in zip(kinds, sizes, strict=True)],
        counts=counts,
        points=_declared_points(entries),
        origin=_origin(entries.get("VIEWPOINT", [])),
        data=data,
    )
    return header, memoryview(content)[data_line.end() :]


def _whole_numbers(
    entries: dict[str, list[str]], key: str, expected: int, default: int
) -> list[int]:
    words = entries.get(key, [str(default)] * expected)
    if len(words) != expected:
        raise ValueError(f"{key}: got {len(words)} entries, expected {expected} as in FIELDS")
    return [_whole_number(key, word) for word in words]


def _whole_number(key: str, word: str) -> int:
    if not (word.isascii() and word.isdecimal() and len(word) < 19):
        raise ValueError(f"{key}: got {word[:40]!r}, expected a whole number")
    return int(word)


def _declared_points(entries: dict[str, list[str]]) -> tuple[int, ...]:
    """Return how many points the header declares: POINTS, then WIDTH x HEIGHT if that differs."""
    declared = []
    if entries.get("POINTS"):
        declared.append(_whole_number("POINTS", entries["POINTS"][0]))
    if entries.get("WIDTH"):
        height = _whole_number("HEIGHT", (entries.get("HEIGHT") or ["1"])[0])
        declared.append(_whole_number("WIDTH", entries["WIDTH"][0]) * height)
    if not declared:
        raise ValueError("got neither POINTS nor WIDTH, expected the number of points")
    return tuple(dict.fromkeys(declared))


def _origin(words: list[str]) -> np.ndarray:
    """Return tx ty tz of VIEWPOINT tx ty tz qw qx qy qz; zeros where it is missing or wrong."""
    try:
        origin = np.array([float(word) for word in words[:3]])
    except ValueError:
        return np.zeros(3)
    return origin if len(origin) == 3 and np.isfinite(origin).all() else np.zeros(3)


def _agreeing(header: _Header, got: int, what: str = "points") -> int:
    """Return ``got`` if the header declares as many points."""
    if got not in header.points:
        expected = " or ".join(str(count) for count in header.points)
        raise ValueError(f"got {got} {what}, expected {expected} as in the header")
    return got


def _ascii(header: _Header, body: memoryview) -> list[np.ndarray]:
    lines = [line for line in bytes(body).decode("ascii", "replace").splitlines() if line.strip()]
    _agreeing(header, len(lines), "rows")
    table = parse_table(lines, sum(header.counts))
    columns, first = [], 0
    for name, dtype, count in zip(header.names, header.dtypes, header.counts, strict=True):
        values = table[:, first : first + count]
        first += count
        if name.lower() in PACKED_COLOR and np.isnan(values).all():
            log.warning(
                f"{name}: every packed colour is NaN, as ascii files lose those with alpha 255;"
                " the colours are black; save the cloud as binary to keep them"
            )
        if dtype.kind == "f" and name.lower() not in PACKED_COLOR:
            columns.append(values)  # with all digits of the text, whatever size is declared
            continue
        values = np.nan_to_num(values, posinf=0, neginf=0)
        with np.errstate(over="ignore", invalid="ignore"):
            # Twice: a packed colour that is declared as I may exceed the signed range.
            integers = values.astype(np.int64) if dtype.kind in "iu" else values
            columns.append(integers.astype(dtype))
    return columns


def _binary(header: _Header, body: memoryview) -> list[np.ndarray]:
    size = header.record.itemsize
    count = len(body) // size if size else 0
    records = np.frombuffer(body, header.record, _agreeing(header, count))
    return [records[str(i)] for i in range(len(header.names))]


def _compressed(header: _Header, body: memoryview) -> list[np.ndarray]:
    if len(body) < 8:
        raise ValueError(f"got {len(body)} bytes after the header, expected the two sizes")
    compressed, size = (int(n) for n in np.frombuffer(body, "<u4", 2))
    if len(body) - 8 < compressed:
        raise ValueError(f"got {len(body) - 8} compressed bytes, expected {compressed}")
    step = header.record.itemsize
    if not step or size % step:
        raise ValueError(f"got {size} bytes of data, expected a multiple of {step}, one point")
    count = _agreeing(header, size // step)
    if size > LZF_RATIO * compressed:
        raise ValueError(f"got {compressed} compressed bytes, too few for {size}")
    content = _decompressed(bytes(body[8 : 8 + compressed]), size)
    columns, first = [], 0
    for dtype, each in zip(header.dtypes, header.counts, strict=True):
        values = np.frombuffer(content, dtype, count * each, first)
        columns.append(values.reshape(count, each))
        first += values.nbytes
    return columns


def _decompressed(compressed: bytes, size: int) -> bytes:
    if not size:
        return b""
    try:
        import lzf
    except ImportError:
        raise ValueError(
            "DATA binary_compressed needs: pip install python-neo-lzf (or save it as binary)"
        ) from None
    try:
        content = lzf.decompress(compressed, size)
    except Exception as error:  # its own types differ between versions
        raise ValueError(f"the compressed data is damaged ({error})") from None
    if content is None or len(content) != size:
        got = 0 if content is None else len(content)
        raise ValueError(f"got {got} bytes of decompressed data, expected {size}")
    return content

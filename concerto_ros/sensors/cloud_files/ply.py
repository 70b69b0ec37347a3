# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The vertices of .ply files: ascii and binary, after any other elements, lists included.

Read with NumPy alone: plyfile needs NumPy 2, which ROS 2 Jazzy does not have, and is under the
GPL; it also refuses NaN as Windows writes it, empty lines and comments that are not ASCII.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from concerto_ros.sensors.cloud_files.number_text import TableError, parse_table
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
    **{
        f"{kind}{8 * size}": f"{kind[0]}{size}"
        for kind in ("int", "uint")
        for size in (1, 2, 4, 8)
    },
    "float32": "f4",
    "float64": "f8",
}

FORMATS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}

#: Names of the list of a face's vertices.
FACE_LISTS = ("vertex_indices", "vertex_index")

#: Other words that begin a line of a header.
REMARKS = ("comment", "obj_info", "ply")


@dataclass(frozen=True)
class _Property:
    """A number of an element, or a list of numbers after their count."""

    name: str
    number: str
    length: str | None = None


@dataclass(frozen=True)
class _Element:
    name: str
    count: int
    properties: list[_Property]

    @property
    def scalars(self) -> list[_Property]:
        """The properties that are no lists; of equal names the first."""
        unique: dict[str, _Property] = {}
        for entry in self.properties:
            if entry.length is None:
                unique.setdefault(entry.name, entry)
        return list(unique.values())

    @property
    def has_lists(self) -> bool:
        return any(entry.length is not None for entry in self.properties)


def read_ply(path: Path) -> np.ndarray:
    """Read the vertices of a .ply file.

    Returns:
        A structured array (N,) with the file's property names, without lists; of equal names the
        first counts. Floating-point numbers of an ascii file are float64, whatever it declares.

    Raises:
        InputError: ``malformed``: not a .ply, or header and content do not agree; the text names
            the file.
        OSError: The file cannot be read.
    """
    content = path.read_bytes()
    try:
        return _vertices(*_header(content))
    except (ValueError, TableError) as error:
        raise InputError("malformed", f"{path}: not a readable .ply: {error}") from None


def read_ply_mesh(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read the vertices and the triangles of a .ply file.

    Returns:
        The vertices as :func:`read_ply` returns them, and (F, 3) int64, the vertices of each
        triangle; (0, 3) of a file without faces.

    Raises:
        InputError: ``malformed``, as :func:`read_ply`; or a face is no triangle.
        OSError: The file cannot be read.
    """
    content = path.read_bytes()
    try:
        order, elements, body = _header(content)
        return _vertices(order, elements, body), _triangles(order, elements, body)
    except (ValueError, TableError) as error:
        raise InputError("malformed", f"{path}: not a readable .ply: {error}") from None


def _vertices(order: str, elements: list[_Element], body: memoryview) -> np.ndarray:
    position = _position(elements, "vertex")
    if position is None:
        names = ", ".join(element.name for element in elements) or "none"
        raise ValueError(f"elements: got {names}, expected vertex among them")
    before, vertex = elements[:position], elements[position]
    if not vertex.scalars:
        raise ValueError("got no vertex properties that are numbers, expected x, y and z")
    if order:
        return _binary(order, before, vertex, body)
    return _ascii(before, vertex, body)


def _position(elements: list[_Element], name: str) -> int | None:
    return next((i for i, e in enumerate(elements) if e.name.lower() == name), None)


def _triangles(order: str, elements: list[_Element], body: memoryview) -> np.ndarray:
    """Return the vertices of each face, (F, 3) int64."""
    position = _position(elements, "face")
    if position is None or not elements[position].count:
        return np.empty((0, 3), np.int64)
    face, before = elements[position], elements[:position]
    lists = [p for p in face.properties if p.length is not None and p.name in FACE_LISTS]
    if not lists:
        raise ValueError(f"face: got no list of vertices, expected {' or '.join(FACE_LISTS)}")
    i = face.properties.index(lists[0])
    if not order:
        # The numbers before the list, and its length.
        rows = parse_table(_rows_of(face, before, body))
        lengths, items = rows[:, i], rows[:, i + 1 : i + 4]
    else:
        for element in before:
            body = body[_records(order, element, body)[1] :]
        # The first face tells the sizes of all, and has to be a triangle itself.
        record = _record(order, face.properties, _list_lengths(order, face.properties, body))
        if record[f"{i} items"].shape == (3,) and len(body) < face.count * record.itemsize:
            raise _short(len(body) // record.itemsize, face)
        records = np.frombuffer(body, record, min(face.count, len(body) // record.itemsize))
        lengths, items = records[f"{i} length"], records[f"{i} items"]
    if items.shape[1] != 3 or not (lengths == 3).all():
        raise ValueError("face: got faces that are no triangles, expected three vertices each")
    return items.astype(np.int64)


def _rows_of(element: _Element, before: list[_Element], body: memoryview) -> list[str]:
    """Return the lines of an element of an ascii file."""
    lines = [line for line in bytes(body).decode("ascii", "replace").splitlines() if line.strip()]
    for other in before:
        if len(lines) < other.count:
            raise _short(len(lines), other)
        lines = lines[other.count :] if other.properties else lines
    if len(lines) < element.count:
        raise _short(len(lines), element)
    return lines[: element.count]


def _header(content: bytes) -> tuple[str, list[_Element], memoryview]:
    """Return the byte order ("" for ascii), the elements, and what follows the header."""
    first = re.match(rb"ply[ \t]*(\r\n|\n|\r)", content)
    if first is None:
        got = content[:16].decode("latin-1")
        raise ValueError(f"got {got!r} in the first line, expected 'ply'")
    # The end of lines as in the first: a binary body may begin with a byte that looks like one.
    last = re.search(rb"[\r\n]end_header[ \t]*" + re.escape(first[1]), content)
    if last is None:
        raise ValueError("got no line end_header, expected it after the properties")
    order: str | None = None
    elements: list[_Element] = []
    for line in re.split(r"\r\n|\n|\r", content[: last.start()].decode("utf-8", "replace")):
        words = line.split()
        if not words or words[0] in REMARKS:
            continue
        if words[0] == "format" and len(words) >= 2 and words[1] in FORMATS:
            order = FORMATS[words[1]]
        elif words[0] == "element" and len(words) == 3 and words[2].isdecimal():
            elements.append(_Element(words[1], int(words[2]), []))
        elif words[0] == "property" and elements:
            elements[-1].properties.append(_property(words[1:]))
        else:
            raise ValueError(
                f"header: got the line '{' '.join(words)[:80]}', expected format, element or"
                " property"
            )
    if order is None:
        raise ValueError(f"header: got no line format, expected one of {', '.join(FORMATS)}")
    return order, elements, memoryview(content)[last.end() :]


def _property(words: list[str]) -> _Property:
    if len(words) == 4 and words[0] == "list" and {words[1], words[2]} <= TYPES.keys():
        return _Property(words[3], TYPES[words[2]], TYPES[words[1]])
    if len(words) == 2 and words[0] in TYPES:
        return _Property(words[1], TYPES[words[0]])
    raise ValueError(
        f"property: got '{' '.join(words)[:80]}', expected a number type and a name, or a list"
    )


def _short(got: int, element: _Element) -> ValueError:
    return ValueError(f"cut short: got {got} entries of {element.name}, expected {element.count}")


def _ascii(before: list[_Element], vertex: _Element, body: memoryview) -> np.ndarray:
    lines = _rows_of(vertex, before, body)
    if vertex.has_lists:
        lines = [_without_lists(line, vertex) for line in lines]
    names = [p.name for p in vertex.properties if p.length is None]
    table = parse_table(lines, len(names))
    columns = {p.name: _declared(table[:, names.index(p.name)], p.number) for p in vertex.scalars}
    vertices = np.empty(len(lines), [(name, values.dtype) for name, values in columns.items()])
    for name, values in columns.items():
        vertices[name] = values
    return vertices


def _declared(values: np.ndarray, number: str) -> np.ndarray:
    """Return numbers of a text in the type that its header declares, where it can hold them."""
    if number.startswith("f"):
        return values
    with np.errstate(invalid="ignore"):
        whole = values.astype(number)
    return whole if (whole == values).all() else values


def _without_lists(line: str, vertex: _Element) -> str:
    """Return the numbers of a vertex that are not in lists."""
    words = line.split()
    kept, at = [], 0
    for entry in vertex.properties:
        if at >= len(words):
            raise ValueError(f"vertex: got the row '{line.strip()[:60]}', expected more numbers")
        if entry.length is None:
            kept.append(words[at])
        elif words[at].isdecimal():
            at += int(words[at])
        else:
            raise ValueError(f"list {entry.name}: got '{words[at][:40]}', expected its length")
        at += 1
    if at != len(words):
        raise ValueError(f"vertex: got {len(words)} numbers in a row, expected {at}")
    return " ".join(kept)


def _binary(order: str, before: list[_Element], vertex: _Element, body: memoryview) -> np.ndarray:
    for element in before:
        body = body[_records(order, element, body)[1] :]
    return _records(order, vertex, body)[0]


def _records(order: str, element: _Element, body: memoryview) -> tuple[np.ndarray, int]:
    """Return the numbers of all records of an element, and the bytes that the element takes."""
    if not element.properties:
        return np.empty(0), 0
    lengths = _list_lengths(order, element.properties, body) if element.count else []
    record = _record(order, element.properties, lengths)
    size = element.count * record.itemsize
    if len(body) >= size:
        records = np.frombuffer(body, record, element.count)
        counts = (i for i, entry in enumerate(element.properties) if entry.length is not None)
        if all(
            (records[f"{i} length"] == length).all()
            for i, length in zip(counts, lengths, strict=False)
        ):
            return _numbers(order, element, [records]), size
    elif not element.has_lists:
        raise _short(len(body) // record.itemsize, element)
    return _uneven_records(order, element, body)


def _uneven_records(order: str, element: _Element, body: memoryview) -> tuple[np.ndarray, int]:
    """Read the records one by one, as their lists have different lengths."""
    at, records = 0, []
    known: dict[tuple[int, ...], np.dtype] = {}
    for i in range(element.count):
        lengths = _list_lengths(order, element.properties, body[at:])
        if tuple(lengths) not in known:
            known[tuple(lengths)] = _record(order, element.properties, lengths)
        record = known[tuple(lengths)]
        if len(body) < at + record.itemsize:
            raise _short(i, element)
        records.append(np.frombuffer(body, record, 1, at))
        at += record.itemsize
    return _numbers(order, element, records), at


def _list_lengths(order: str, properties: list[_Property], body: memoryview) -> list[int]:
    """Return the lengths of the lists of the first record, as far as ``body`` goes."""
    lengths: list[int] = []
    at = 0
    for entry in properties:
        if entry.length is not None:
            count = np.dtype(order + entry.length)
            if len(body) < at + count.itemsize:
                return [*lengths, 0]
            length = int(np.frombuffer(body, count, 1, at)[0])
            if not 0 <= length <= len(body):
                raise ValueError(f"list {entry.name}: got the length {length}, expected fewer")
            lengths.append(length)
            at += count.itemsize + length * np.dtype(entry.number).itemsize
        else:
            at += np.dtype(entry.number).itemsize
    return lengths


def _record(order: str, properties: list[_Property], lengths: list[int]) -> np.dtype:
    """Return the type of a record with lists of these lengths; missing ones are empty."""
    fields: list[tuple] = []
    remaining = iter(lengths)
    for i, entry in enumerate(properties):
        if entry.length is None:
            fields.append((str(i), order + entry.number))
        else:
            fields.append((f"{i} length", order + entry.length))
            fields.append((f"{i} items", order + entry.number, (next(remaining, 0),)))
    return np.dtype(fields)


def _numbers(order: str, element: _Element, parts: list[np.ndarray]) -> np.ndarray:
    """Return the properties of an element that are no lists, by name."""
    scalars = element.scalars
    numbers = np.empty(element.count, [(p.name, order + p.number) for p in scalars])
    for entry in scalars:
        i = element.properties.index(entry)
        numbers[entry.name] = np.concatenate([part[str(i)] for part in parts])
    return numbers

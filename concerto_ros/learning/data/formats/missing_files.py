# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Scans of which not all files are there: left out, counted and said."""

from __future__ import annotations

import csv
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from concerto_ros.files.error_text import one_line
from concerto_ros.files.listing import visible
from concerto_ros.learning.data.label_map import DataError

log = logging.getLogger(__name__)

Entry = TypeVar("Entry")

#: A row of a table: the number of its last line, and its text by column.
Row = tuple[int, dict[str, str | None]]

#: Files of a folder that an error lists at most.
MOST_LISTED = 8


def complete(
    root: Path, entries: Iterable[Entry], files: Callable[[Entry], Iterable[Path]]
) -> list[Entry]:
    """The entries whose files all exist; the others are counted in a warning.

    Large data sets are often downloaded in part.

    Args:
        root: The data set, for messages.
        entries: Scans of the data set.
        files: The files that an entry needs.

    Raises:
        DataError: There are entries, but none of them has all its files; names the first that is
            missing.
    """
    kept: list[Entry] = []
    first: Path | None = None
    left_out = 0
    for entry in entries:
        missing = next((path for path in files(entry) if not path.is_file()), None)
        if missing is None:
            kept.append(entry)
            continue
        left_out += 1
        first = first or missing
    if first is None:
        return kept
    total = left_out + len(kept)
    text = f"{left_out} of {total} scans lack a file (the first: {first} does not exist)"
    if not kept:
        beside = visible(first.parent.glob("*"), first.parent) if first.parent.is_dir() else []
        names = ", ".join(path.name for path in beside[:MOST_LISTED]) or "nothing"
        raise DataError(
            f"{root}: {text}, expected the files of at least one; the folder holds {names}"
        )
    log.warning("%s: %s and are left out", root, text)
    return kept


def read_json(path: Path, field: str | None = None) -> Any:
    """Read a JSON file, or one field of it.

    Raises:
        DataError: The file is missing or invalid, or lacks the field; names both.
    """
    if not path.is_file():
        raise DataError(f"{path}: the file does not exist")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: not readable as JSON: {one_line(error)}") from None
    if field is None:
        return content
    if not isinstance(content, dict) or field not in content:
        got = ", ".join(map(str, list(content)[:6])) if isinstance(content, dict) else "no object"
        raise DataError(f"{path}: has no field {field}, got {got or 'nothing'}")
    return content[field]


def table_rows(path: Path, columns: Sequence[str], delimiter: str = ",") -> Iterator[Row]:
    """The rows of a text table with a line of headings, one after the other.

    Args:
        path: The table.
        columns: Headings that it must have.
        delimiter: What separates the columns.

    Yields:
        The number of the row's last line, and the text of each column; None where the row is too
        short.

    Raises:
        DataError: A column is missing, or the file is not text; names both.
    """
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter=delimiter)
        try:
            for name in columns:
                if name not in (rows.fieldnames or ()):
                    got = ", ".join(rows.fieldnames or ()) or "nothing"
                    raise DataError(f"{path}: has no column {name}, got {got}")
            for row in rows:
                yield rows.line_num, row
        except (csv.Error, UnicodeDecodeError) as error:
            raise DataError(f"{path}: not readable as text: {one_line(error)}") from None


def listed_names(path: Path) -> list[str] | None:
    """The lines of a text file of names, without empty ones; None if it does not exist.

    Raises:
        DataError: The file is not text.
    """
    if not path.is_file():
        return None
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not readable as text: {one_line(error)}") from None
    return [line.strip() for line in lines if line.strip()]

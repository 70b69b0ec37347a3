# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Tables of numbers as text, as programs on every system write them."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

#: What Microsoft's printf writes for numbers that are not finite, in its older and newer form.
_NOT_FINITE = re.compile(r"[-+]?(?:1\.#\w*|nan\([^)\s]*\))", re.IGNORECASE)


class TableError(ValueError):
    """A line is no row of numbers; the text says which."""


def parse_table(
    lines: Sequence[str], columns: int | None = None, delimiter: str | None = None
) -> np.ndarray:
    """Parse lines of numbers.

    NaN and infinity are read as C, Python and Microsoft's library write them, and empty cells
    between delimiters are NaN.

    Args:
        lines: One row each, without empty lines.
        columns: Numbers in each row; None: as many as in the first.
        delimiter: The character between numbers; None: white space.

    Returns:
        (N, columns) float64.

    Raises:
        TableError: A row is no row of numbers, or has another number of them.
    """
    if not lines:
        return np.empty((0, columns or 0))
    for tidy in (False, True):
        try:
            rows = [_tidied(line, columns, delimiter) for line in lines] if tidy else lines
            table = np.loadtxt(rows, np.float64, delimiter=delimiter, comments=None, ndmin=2)
        except ValueError:
            continue
        if len(table) == len(lines) and (columns is None or table.shape[1] == columns):
            return table
        break
    raise TableError(_fault(lines, columns, delimiter))


def _tidied(line: str, columns: int | None, delimiter: str | None) -> str:
    line = _NOT_FINITE.sub("nan", line)
    if delimiter is None:
        return line
    cells = [cell.strip() for cell in line.split(delimiter)]
    if not cells[-1] and (columns is None or len(cells) == columns + 1):
        del cells[-1]  # a delimiter at the end of the row
    return delimiter.join(cell or "nan" for cell in cells)


def _fault(lines: Sequence[str], columns: int | None, delimiter: str | None) -> str:
    """Say which row is the first wrong one, and how."""
    for number, line in enumerate(lines, 1):
        cells = _tidied(line, columns, delimiter).split(delimiter)
        for cell in cells:
            try:
                float(cell)
            except ValueError:
                return (
                    f"row {number} of {len(lines)}: got {cell.strip()[:40]!r}, expected a number"
                )
        columns = len(cells) if columns is None else columns
        if len(cells) != columns:
            return f"row {number} of {len(lines)}: got {len(cells)} numbers, expected {columns}"
    return f"got rows that cannot be read, the first {lines[0][:60]!r}, expected numbers"

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Paths from callers of services, confined to the directory that a parameter sets."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

#: Characters of a file's or folder's name. File systems take 255 bytes, of which a file that is
#: being written needs some for the suffix of its partial copy.
MAX_NAME = 200


def file_below(directory: str, name: str, parameter: str, suffix: str) -> Path:
    """Resolve a file name below a directory that callers may not leave.

    Args:
        directory: The directory, the value of ``parameter``.
        name: Relative path of the file; its folders need not exist.
        parameter: Name of the parameter, for error messages.
        suffix: What ``name`` has to end in.

    Raises:
        ValueError: ``directory`` is empty, or ``name`` leads out of it, by links as well, has
            other characters than letters, digits, spaces, ``.``, ``_`` and ``-``, a name of more
            than 200 characters, or does not end in ``suffix``.
    """
    if not directory:
        raise ValueError(f"{parameter}: got '', expected a directory; set the parameter")
    parts = PurePosixPath(name).parts
    plain = all(re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_. -]*", part) for part in parts)
    if not parts or not plain or not name.endswith(suffix):
        raise ValueError(
            f"path: got {name!r}, expected a relative path of letters, digits, spaces, '.', '_'"
            f" and '-' that ends in {suffix}"
        )
    longest = max(parts, key=len)
    if len(longest) > MAX_NAME:
        raise ValueError(
            f"path: got a name of {len(longest)} characters, {longest[:20]}..., expected at most"
            f" {MAX_NAME}"
        )
    root = Path(directory).resolve()
    path = root / name
    if not path.resolve().is_relative_to(root):
        raise ValueError(
            f"path: got {name!r}, a link that leads out of {parameter}, expected a path inside it"
        )
    return path

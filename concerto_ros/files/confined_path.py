# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Files that callers of services may name: only below the directory that a parameter sets."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath


def file_below(directory: str, name: str, parameter: str, suffix: str) -> Path:
    """The file ``name`` below ``directory``, the value of ``parameter``.

    Raises ValueError for a name that leads elsewhere, by links as well, or does not end in
    ``suffix``.
    """
    if not directory:
        raise ValueError(f"{parameter}: got '', expected a directory")
    parts = PurePosixPath(name).parts
    plain = all(re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_. -]*", part) for part in parts)
    if not parts or not plain or not name.endswith(suffix):
        raise ValueError(
            f"path: got {name!r}, expected a relative one of letters, digits, spaces, '.', '_' and"
            f" '-' that ends in {suffix}"
        )
    root = Path(directory).resolve()
    path = root / name
    if not path.resolve().is_relative_to(root):
        raise ValueError(f"path: got {name!r}, which leads out of {parameter} by a link")
    return path

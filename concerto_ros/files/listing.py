# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Folders listed without what operating systems and editors leave in them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

#: Files and folders of macOS, Windows and file servers, in lower case.
SYSTEM_NAMES = frozenset(
    {
        "__macosx",
        "$recycle.bin",
        "@eadir",
        "desktop.ini",
        "lost+found",
        "system volume information",
        "thumbs.db",
    }
)


def visible(paths: Iterable[Path], root: Path) -> list[Path]:
    """Sort paths below a folder, without hidden ones and those of the operating system.

    A name that begins with a dot is hidden, as in ``._scan.ply``, which macOS puts beside
    ``scan.ply`` on other file systems, and in archives below ``__MACOSX``.

    Args:
        paths: files or folders below ``root``.
        root: the folder that was listed; its own name does not matter.
    """
    return sorted(path for path in paths if not any(map(_hidden, path.relative_to(root).parts)))


def _hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in SYSTEM_NAMES

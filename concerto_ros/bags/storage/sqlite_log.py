# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The write-ahead log (.db3-wal) that a killed recorder leaves beside a .db3 file.

SQLite itself applies what is whole of it. What is not whole is only looked for here, to be said.
Its layout is that of https://sqlite.org/fileformat2.html#the_write_ahead_log.
"""

from __future__ import annotations

import struct
from pathlib import Path

#: Magic number, version, size of a page, checkpoint, salts, checksums.
_HEADER = struct.Struct(">8I")
#: Page, pages of the database after a commit or 0, salts, checksums.
_FRAME = struct.Struct(">6I")

MAGICS = (0x377F0682, 0x377F0683)


def log_of(path: Path) -> Path | None:
    """Return the log of a database; None where there is none, or it is empty."""
    log = path.with_name(f"{path.name}-wal")
    if log.exists() and log.stat().st_size and path.stat().st_size:
        return log
    return None


def unfinished(path: Path, log: Path | None, pages: int) -> list[tuple[str, str]]:
    """Say which transactions beside a database are not applied.

    Args:
        path: The database.
        log: Its write-ahead log; None if it does not exist.
        pages: Number of pages of the database as SQLite reads it, log included.

    Returns:
        (suffix of the file, what is wrong with it).
    """
    found = []
    if log is not None and (text := _lost_of(log, pages)):
        found.append(("-wal", text))
    journal = path.with_name(f"{path.name}-journal")
    if journal.exists() and journal.stat().st_size:
        text = "belongs to an unfinished transaction, which was not rolled back"
        found.append(("-journal", text))
    return found


def _lost_of(log: Path, pages: int) -> str:
    size = log.stat().st_size
    with log.open("rb") as file:
        head = file.read(_HEADER.size)
        if len(head) < _HEADER.size or _HEADER.unpack(head)[0] not in MAGICS:
            return f"is not a write-ahead log: its {size} bytes were not read"
        _, _, page_size, _, *salts, _, _ = _HEADER.unpack(head)
        whole = at = _HEADER.size  # end of the last commit that SQLite reads, and of the frames
        while len(frame := file.read(_FRAME.size)) == _FRAME.size:
            _, commit, *frame_salts, _, _ = _FRAME.unpack(frame)
            if frame_salts != salts:  # left over from before the log was begun again
                lost = at - whole
                break
            at += _FRAME.size + page_size
            file.seek(at)
            if commit and commit <= pages and at <= size:
                whole = at
        else:
            lost = size - whole
    if lost <= 0:
        return ""
    return f"ends in an incomplete transaction: its last {lost} bytes are lost"

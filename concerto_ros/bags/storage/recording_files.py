# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The files of a recording: chosen from a folder and its metadata, decompressed and opened."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

from rosbags.interfaces import Connection

from concerto_ros.bags.storage import mcap_records, sqlite_file
from concerto_ros.bags.storage.compression import ZSTD_MAGIC, decompress_file
from concerto_ros.bags.storage.damage import BagError, Damage
from concerto_ros.bags.storage.mcap_file import McapFile
from concerto_ros.bags.storage.metadata import NAME, Metadata
from concerto_ros.bags.storage.sqlite_file import SqliteFile
from concerto_ros.bags.storage.time_order import Record
from concerto_ros.files.listing import visible

#: First bytes of a bag of ROS 1, which rosbags converts.
ROS1_MAGIC = b"#ROSBAG V"

PACKED = ".zstd"
SUFFIXES = (".db3", ".mcap", f".db3{PACKED}", f".mcap{PACKED}")


class RecordingFile(Protocol):
    """An open file of a recording; see :class:`McapFile` and :class:`SqliteFile`."""

    storage: str
    connections: list[Connection]
    message_count: int
    start_ns: int
    end_ns: int

    @property
    def damage(self) -> list[Damage]:
        """What is wrong with the file, as far as it was read."""

    def records(
        self, topics: Collection[str], start_ns: int | None, stop_ns: int | None
    ) -> Iterator[Record]:
        """Read the messages of some topics between two log times, in the order of time."""

    def close(self) -> None:
        """Close the file."""


def is_recording(path: Path) -> bool:
    """Return whether a path looks like a file of a recording, by its name."""
    return path.name.lower().endswith(SUFFIXES) and path.is_file()


def is_bag(path: Path) -> bool:
    """Return whether a path looks like a recording: a file of one, or a folder with such files."""
    if not path.is_dir():
        return is_recording(path)
    return (path / NAME).exists() or any(map(is_recording, visible(path.iterdir(), path)))


def is_ros1(path: Path) -> bool:
    """Return whether a file is a bag of ROS 1, by its first bytes."""
    return _magic(path).startswith(ROS1_MAGIC)


class Files(NamedTuple):
    """The files of a recording.

    Attributes:
        paths: Those to read.
        missing: Those that metadata names and that do not exist.
        left_out: Those that are not read.
    """

    paths: list[Path]
    missing: list[Damage]
    left_out: list[Damage]


def files_of(folder: Path, metadata: Metadata) -> Files:
    """Choose the files of the recording in a folder.

    Those that metadata names come first, also where they were compressed or decompressed since.
    Others are read where some are missing, as these may have been renamed, and where they go on
    with the numbers, as the recorder may have been killed; else they are left out and said.
    """
    present = sorted(filter(is_recording, visible(folder.iterdir(), folder)), key=_natural)
    chosen: list[Path] = []
    missing: list[Damage] = []
    for name in metadata.files:
        found = next((path for path in _twins(folder / name) if path.is_file()), None)
        if found is None:
            text = f"is named in {NAME}, but does not exist"
            missing.append(Damage(name, text, metadata.file_counts.get(name)))
        elif found not in chosen:
            chosen.append(found)
    others = [
        path
        for path in present
        if not any(twin in chosen for twin in _twins(path))
        and not (path.name.endswith(PACKED) and path.with_suffix("") in present)
    ]
    if not metadata.files or missing:
        return Files([*chosen, *others], missing, [])
    following = [path for path in others if _continues(path, chosen[-1])]
    text = f"is ignored, because {NAME} does not name it"
    left_out = [Damage(path.name, text) for path in others if path not in following]
    return Files([*chosen, *following], [], left_out)


def open_file(
    path: Path, metadata: Metadata, scratch: Callable[[], Path]
) -> tuple[RecordingFile, list[Damage]]:
    """Open a file of a recording, by its contents rather than by its suffix.

    Args:
        path: The file.
        metadata: That of the recording.
        scratch: Returns a folder for its decompressed copy.

    Returns:
        The open file, and what is wrong with its compression.

    Raises:
        BagError: It cannot be read; the text is to be read after its name.
        OSError: Likewise.
    """
    name, damage = path.name, []
    if _magic(path).startswith(ZSTD_MAGIC):
        folder = scratch()
        unpacked = folder / f"{len(list(folder.iterdir()))}_{name.removesuffix(PACKED)}"
        if fault := decompress_file(path, unpacked):
            size = unpacked.stat().st_size
            if not size:
                raise BagError(f"{fault}, and nothing of it can be decompressed")
            damage.append(Damage(name, f"{fault}: {size} bytes of it were decompressed"))
        path = unpacked
    magic = _magic(path)
    if magic.startswith(mcap_records.MAGIC):
        return McapFile(path, name, metadata), damage
    if magic == sqlite_file.MAGIC:
        return SqliteFile(path, name, metadata), damage
    if not magic:
        raise BagError("is empty (0 bytes)")
    if is_ros1(path):
        raise BagError("is a bag of ROS 1; convert it with rosbags-convert")
    raise BagError("is neither a sqlite3 database nor an MCAP file (unknown first bytes)")


def _magic(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(len(sqlite_file.MAGIC))


def _twins(path: Path) -> tuple[Path, Path]:
    """Return a file and the same, compressed or not."""
    packed = path.name.endswith(PACKED)
    other = path.name.removesuffix(PACKED) if packed else path.name + PACKED
    return path, path.with_name(other)


def _natural(path: Path) -> list[tuple[int, str]]:
    """Order bag_2 before bag_10."""
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _continues(path: Path, last: Path) -> bool:
    """Return whether a file has the name of another with a higher number."""
    pattern = re.compile(r"(.*_)(\d+)(\.\w+)")
    new = pattern.fullmatch(path.name.removesuffix(PACKED))
    old = pattern.fullmatch(last.name.removesuffix(PACKED))
    if new is None or old is None:
        return False
    return new.group(1, 3) == old.group(1, 3) and int(new[2]) > int(old[2])

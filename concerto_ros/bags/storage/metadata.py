# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What metadata.yaml of a recording says, as far as it can be understood.

The files of a recording are believed rather than this: it is missing when the recorder was killed,
and wrong when files were renamed, removed or edited.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import yaml
from rosbags.interfaces import Connection, ConnectionExtRosbag2, Qos
from rosbags.rosbag2.metadata import parse_qos

from concerto_ros.bags.storage.damage import Damage
from concerto_ros.files.error_text import in_words

NAME = "metadata.yaml"


@dataclass
class Metadata:
    """The contents of a metadata.yaml.

    Attributes:
        files: Names of the files, without folders.
        file_counts: Number of messages by file, where it says them.
        message_count: Number of messages; None where it does not say it.
        compression_mode: ``file``, ``message`` or empty.
        compression_format: Such as ``zstd``.
        qualities: Offered quality of service by topic, where it says them.
        hashes: Hash of the message type by topic, likewise.
        damage: What is wrong with it.
    """

    files: list[str] = field(default_factory=list)
    file_counts: dict[str, int] = field(default_factory=dict)
    message_count: int | None = None
    compression_mode: str = ""
    compression_format: str = ""
    qualities: dict[str, list[Qos]] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    damage: list[Damage] = field(default_factory=list)

    def complete(self, connection: Connection) -> Connection:
        """Return a topic of a file with the quality of service and the hash given here.

        They have precedence: this is where people correct what was recorded.
        """
        assert isinstance(connection.ext, ConnectionExtRosbag2)
        profiles = self.qualities.get(connection.topic) or connection.ext.offered_qos_profiles
        form = connection.ext.serialization_format
        return connection._replace(
            digest=self.hashes.get(connection.topic) or connection.digest,
            ext=ConnectionExtRosbag2(form, profiles),
        )


def read_metadata(folder: Path) -> Metadata:
    """Read metadata.yaml of a folder; empty where there is none."""
    path = folder / NAME
    metadata = Metadata()
    if not path.exists():
        return metadata
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8", errors="replace"))
        content = content["rosbag2_bagfile_information"]
        if not isinstance(content, Mapping):
            raise TypeError("rosbag2_bagfile_information has no entries")
    except (yaml.YAMLError, KeyError, OSError, RecursionError, TypeError, ValueError) as error:
        text = f"cannot be read; the files were read without it: {in_words(error)}"
        metadata.damage.append(Damage(NAME, text, 0))
        return metadata
    names = _list(content.get("relative_file_paths"))
    metadata.files = [_file_name(name) for name in names if isinstance(name, str)]
    for entry in _list(content.get("files")):
        name, count = _get(entry, "path"), _get(entry, "message_count")
        if isinstance(name, str) and isinstance(count, int):
            metadata.file_counts[_file_name(name)] = count
    count = content.get("message_count")
    metadata.message_count = count if isinstance(count, int) else None
    mode = str(content.get("compression_mode") or "").lower()
    metadata.compression_mode = "" if mode == "none" else mode
    metadata.compression_format = str(content.get("compression_format") or "").lower()
    for entry in _list(content.get("topics_with_message_count")):
        topic = _get(entry, "topic_metadata")
        name = _get(topic, "name")
        if isinstance(name, str):
            metadata.qualities[name] = qualities(_get(topic, "offered_qos_profiles"))
            metadata.hashes[name] = str(_get(topic, "type_description_hash") or "")
    return metadata


def qualities(profiles: Any) -> list[Qos]:
    """Return the qualities of service of a topic's publishers; none where they make no sense.

    Args:
        profiles: Text of YAML up to Jazzy, a list since; numbers up to Iron, names since.
    """
    try:
        return list(parse_qos(profiles or []))
    except Exception:  # rosbags passes on the errors of whatever it finds
        return []


def _file_name(path: str) -> str:
    """Return the name alone: older versions wrote the folder before it."""
    return PurePosixPath(path).name


def _list(value: Any) -> list:
    return value if isinstance(value, list) else []


def _get(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else None

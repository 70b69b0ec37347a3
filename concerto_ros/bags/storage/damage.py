# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a recording, and what is lost by it."""

from __future__ import annotations

from typing import NamedTuple


class BagError(ValueError):
    """A recording that cannot be used; the text is one line with the reason and the remedy."""


class Damage(NamedTuple):
    """What is wrong with one file of a recording, the rest of which is read.

    Attributes:
        file: Name of the file.
        text: What is wrong with it and what is lost, to be read after the name.
        messages: Number of messages that are lost; None where it is not known.
    """

    file: str
    text: str
    messages: int | None = None

    @classmethod
    def without_topic(cls, file: str, messages: int) -> Damage:
        """Make that of messages whose topic is not in the file."""
        text = f"has {messages} messages of unknown topics, which are lost"
        return cls(file, text, messages)

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.file} {self.text}"

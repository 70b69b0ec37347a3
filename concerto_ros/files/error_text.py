# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What other libraries say of a file that they cannot read, for a message of our own."""

from __future__ import annotations


def one_line(error: Exception) -> str:
    """The text of ``error`` without line breaks; its type where it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__

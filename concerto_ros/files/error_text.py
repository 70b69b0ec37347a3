# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Texts of other libraries' errors, for messages of our own."""

from __future__ import annotations


def one_line(error: Exception) -> str:
    """Return the text of ``error`` without line breaks; the name of its type if it is empty."""
    return " ".join(str(error).split()) or type(error).__name__

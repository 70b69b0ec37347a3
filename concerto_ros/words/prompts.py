# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Prompts: the sentences about a name that a text encoder reads."""

from __future__ import annotations

#: What ReCon puts before and after the name of a class.
PICTURES = (
    "model",
    "image",
    "3D model",
    "rendering model",
    "point cloud",
    "point cloud model",
    "3D rendering model",
    "rendering image",
    "3D rendering image",
)
PREFIXES = (
    "",
    "A ",
    *(prefix for name in PICTURES for prefix in (f"A {name} of ", f"A {name} of a ")),
)
SUFFIXES = (".", " with white background.", " with black context.")


def prompts(name: str) -> list[str]:
    """Return ReCon's 60 prompts about a class, all prefixes with one suffix after the other."""
    return [f"{prefix}{name}{suffix}" for suffix in SUFFIXES for prefix in PREFIXES]


def name_alone(name: str) -> list[str]:
    """Return nothing but the name, the prompt of OpenShape's released extractor."""
    return [name]

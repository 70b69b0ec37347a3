# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Rooms that are installed, small enough to walk, and right about each other's names.

What a room may import is checked by import-linter: see pyproject.toml and ``make lint``.
"""

from __future__ import annotations

import pkgutil
import re
from collections import Counter
from pathlib import Path

import pytest
from paths import REPOSITORY

PACKAGE = REPOSITORY / "concerto_ros"

#: How many modules a person looks through at once.
MAX_MODULES = 16

SOURCES = sorted(PACKAGE.rglob("*.py"))
PAGES = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md")])

#: :class:`~concerto_ros.module.Name` and :func:`a text <concerto_ros.module.name>`.
REFERENCE = re.compile(r":[a-z]+:`(?:[^`<]*<)?~?(concerto_ros[\w.]*)>?`")


def test_every_folder_with_modules_is_a_package():
    """Else the wheel lacks it, while an editable installation works."""
    folders = {path.parent for path in SOURCES}
    assert [folder for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_a_room_has_few_modules_on_one_level():
    modules = Counter(path.parent for path in SOURCES if path.name != "__init__.py")
    assert {folder: count for folder, count in modules.items() if count > MAX_MODULES} == {}


def references(paths: list[Path], pattern: re.Pattern[str]) -> dict[str, list[str]]:
    """Every name that is referred to, and the files that do."""
    found: dict[str, list[str]] = {}
    for path in paths:
        for name in pattern.findall(path.read_text(encoding="utf-8")):
            found.setdefault(name, []).append(str(path.relative_to(REPOSITORY)))
    return found


def unresolved(found: dict[str, list[str]]) -> dict[str, list[str]]:
    missing = {}
    for name, users in found.items():
        try:
            pkgutil.resolve_name(name)
        except (ImportError, AttributeError):
            missing[name] = users
    return missing


def test_every_cross_reference_of_a_docstring_leads_somewhere():
    pytest.importorskip("rclpy", reason="modules of the node cannot be imported without rclpy")
    found = references(SOURCES, REFERENCE)
    assert len(found) > 20
    assert unresolved(found) == {}


def test_every_module_and_file_that_the_documents_name_is_there():
    pytest.importorskip("rclpy", reason="modules of the node cannot be imported without rclpy")
    assert unresolved(references(PAGES, re.compile(r"`(concerto_ros(?:\.\w+)+)"))) == {}
    folders = "|".join(
        ("benchmarks", "concerto_ros", "config", "docs", "examples", "test", "tools")
    )
    files = references(PAGES, re.compile(rf"`((?:{folders})/[\w./]+)"))
    assert {name: users for name, users in files.items() if not (REPOSITORY / name).exists()} == {}

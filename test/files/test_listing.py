# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What counts as the content of a folder."""

from __future__ import annotations

from pathlib import Path

from concerto_ros.files.listing import visible


def test_hidden_files_and_those_of_operating_systems_are_left_out():
    root = Path("/home/me/.data")
    names = ["b.ply", "a.ply", "sub/c.ply", "._a.ply", ".DS_Store", "__MACOSX/._a.ply",
             "sub/.git/d.ply", "Thumbs.db", "desktop.ini", "$RECYCLE.BIN/x.ply"]  # fmt: skip
    found = visible((root / name for name in names), root)
    assert [path.relative_to(root).as_posix() for path in found] == ["a.ply", "b.ply", "sub/c.ply"]

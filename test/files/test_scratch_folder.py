# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Folders for temporary files: made when needed, removed at the end or after a kill."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile

import pytest

from concerto_ros.files.scratch_folder import scratch_folder

#: Fills a folder and is killed, as by someone without patience.
KILLED = """
import os, signal
from concerto_ros.files.scratch_folder import scratch_folder
with scratch_folder("mine_") as folder:
    (folder() / "copy").write_bytes(bytes(10))
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """The folder for temporary files, which has one of another program."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    (tmp_path / "other_1").mkdir()
    return tmp_path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_it_is_made_when_it_is_needed_and_removed_at_the_end(temporary):
    with scratch_folder("mine_") as folder:
        assert names(temporary) == ["other_1"]
        (folder() / "file").touch()
        assert folder() == folder() and folder().name.startswith("mine_")
        assert folder().parent == temporary and names(folder()) == ["file"]
    assert names(temporary) == ["other_1"]
    with pytest.raises(RuntimeError), scratch_folder("mine_") as folder:
        folder()
        raise RuntimeError
    assert names(temporary) == ["other_1"]


def test_those_of_killed_processes_are_removed_and_those_in_use_are_not(temporary):
    with scratch_folder("mine_") as first:
        (first() / "file").touch()
        died = subprocess.run([sys.executable, "-c", KILLED], check=False)
        assert died.returncode == -signal.SIGKILL
        (temporary / "mine_of_0.1").mkdir()
        (temporary / "mine_link").symlink_to(temporary / "other_1")
        (temporary / "mine_file").touch()
        assert len(names(temporary)) == 6
        with scratch_folder("mine_") as second:
            assert second() != first() and names(first()) == ["file"]
            left = {first().name, second().name, "mine_link", "mine_file", "other_1"}
            assert set(names(temporary)) == left
    assert names(temporary) == ["mine_file", "mine_link", "other_1"]

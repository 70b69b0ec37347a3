# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Errors of the system and of libraries as sentences."""

from __future__ import annotations

import errno
import os

import pytest

from concerto_ros.files.error_text import in_words


def error_of(action) -> Exception:
    with pytest.raises(Exception) as caught:
        action()
    return caught.value


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (lambda p: (p / "no").read_text(), "no: the file or folder does not exist"),
        (lambda p: (p / "file").mkdir(), "file: there is a file of this name, expected a folder"),
        (lambda p: (p / "file/out").mkdir(), "file/out: a part of the path is a file"),
        (lambda p: p.read_text(), ": it is a folder, expected a file"),
        (lambda p: p.rmdir(), ": the folder is not empty"),
        (lambda p: (p / ("n" * 300)).touch(), "n: the name is too long"),
    ],
)
def test_errors_of_files_name_the_file_and_what_is_wrong(tmp_path, action, words):
    (tmp_path / "file").touch()
    text = in_words(error_of(lambda: action(tmp_path)))
    assert str(tmp_path) in text and words in text
    assert "Errno" not in text and "\n" not in text


def test_both_files_of_a_rename_are_named(tmp_path):
    text = in_words(error_of(lambda: os.rename(tmp_path / "a", tmp_path / "b")))
    assert text == f"{tmp_path / 'a'} to {tmp_path / 'b'}: the file or folder does not exist"


def test_errors_without_a_file_say_what_the_system_says():
    assert (
        in_words(OSError(errno.ENOSPC, "No space left on device"))
        == "no space is left on the disk"
    )
    assert in_words(OSError(errno.EIO, "Input/output error")) == "Input/output error"
    assert in_words(OSError("in our\nown words")) == "in our own words"
    assert in_words(ValueError()) == "ValueError"


def test_a_library_that_is_missing_is_named():
    text = in_words(ModuleNotFoundError("No module named 'open3d'", name="open3d"))
    assert text.startswith("Open3D is not installed") and "pip install" in text
    assert in_words(ImportError("needs laspy: pip install laspy")).startswith("needs laspy")

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Texts of other libraries' errors, for messages of our own."""

from __future__ import annotations

import errno
import json
import os
import struct
import traceback
import zipfile
from pathlib import PurePath

#: Python modules that need libraries of the system: name, and Ubuntu's packages of them.
SYSTEM_LIBRARIES = {
    "open3d": ("Open3D", "libgl1 libegl1 libx11-6 libusb-1.0-0 libgomp1"),
    "cv2": ("OpenCV", "libgl1 libglib2.0-0"),
}

#: What the errors of files mean for the path that they name.
MEANINGS = {
    errno.ENOENT: "the file or folder does not exist",
    errno.EEXIST: "there is a file of this name, expected a folder or nothing",
    errno.ENOTDIR: "a part of the path is a file, expected a folder",
    errno.EISDIR: "it is a folder, expected a file",
    errno.EACCES: "this user may not read or write it",
    errno.EPERM: "this user may not read or write it",
    errno.EROFS: "the file system is read-only",
    errno.ENOSPC: "no space is left on the disk",
    errno.EDQUOT: "the quota of the disk is used up",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ENOTEMPTY: "the folder is not empty",
}


#: What Python raises where the content of a file is not what was expected.
MISREAD = (AttributeError, EOFError, IndexError, RecursionError, TypeError, struct.error)


def one_line(error: BaseException) -> str:
    """Return the text of ``error`` without line breaks; the name of its type if it is empty.

    What Python itself raises while a damaged file is read becomes a sentence about the file.
    """
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, UnicodeDecodeError):
        return f"it is no text in UTF-8 (byte {error.start})"
    if isinstance(error, json.JSONDecodeError):
        return f"it is no JSON (line {error.lineno}, column {error.colno})"
    if isinstance(error, zipfile.BadZipFile):
        return "it is cut short or damaged, or no archive"
    if isinstance(error, KeyError):
        return f"the entry {text} is missing"
    if isinstance(error, MISREAD):
        return "it is cut short, or holds something else than expected"
    return text


def in_words(error: BaseException) -> str:
    """Return one line that a person understands, without error numbers of the system.

    Errors of files name the file and what is wrong with it; a library that cannot be loaded is
    named with Ubuntu's packages that it needs. Of other errors it is :func:`one_line`.
    """
    library = _library(error)
    if library:
        name, packages = library
        if isinstance(error, ModuleNotFoundError):
            return f"{name} is not installed ({one_line(error)}): pip install -r requirements.txt"
        return f"{name} cannot be loaded: {one_line(error)}; on Ubuntu: apt install {packages}"
    if not isinstance(error, OSError) or error.errno is None:
        return one_line(error)
    meaning = MEANINGS.get(error.errno) or error.strerror or os.strerror(error.errno)
    if error.filename is None:
        return meaning
    paths = [error.filename, *([error.filename2] if error.filename2 is not None else [])]
    return f"{' to '.join(os.fsdecode(p) if _is_path(p) else str(p) for p in paths)}: {meaning}"


def _is_path(value: object) -> bool:
    return isinstance(value, (str, bytes, os.PathLike))


def _library(error: BaseException) -> tuple[str, str] | None:
    """Name of the library that could not be imported, and its packages; None for other errors."""
    if isinstance(error, ModuleNotFoundError):
        return SYSTEM_LIBRARIES.get((error.name or "").partition(".")[0])
    if not isinstance(error, (ImportError, OSError)) or ".so" not in str(error):
        return None
    for frame in traceback.extract_tb(error.__traceback__):
        for part in PurePath(frame.filename).parts:
            if part in SYSTEM_LIBRARIES:
                return SYSTEM_LIBRARIES[part]
    return None

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""NumPy files (.npy, .npz) of numbers and texts, read without running code from the file."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np

from concerto_ros.files.error_text import one_line


def read_npy(path: Path) -> np.ndarray:
    """Read the array of a .npy file.

    Raises:
        ValueError: The file cannot be read; the text names it and says why.
    """
    try:
        array = np.load(path, allow_pickle=False)
    except Exception as error:  # a damaged file raises almost anything
        raise ValueError(f"{path}: not a readable .npy: {_fault(error)}") from None
    if not isinstance(array, np.ndarray):
        array.close()
        raise ValueError(f"{path}: not a readable .npy: it is an archive of several arrays (.npz)")
    return array


def read_npz(path: Path, names: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """Read the arrays of a .npz file by their names.

    Args:
        path: The file.
        names: Those to read; None: all.

    Raises:
        ValueError: The file cannot be read or lacks a name; the text names it and says why.
    """
    try:
        archive = np.load(path, allow_pickle=False)
        if isinstance(archive, np.ndarray):
            raise TypeError(
                "it holds one array (.npy), expected an archive of named arrays (.npz)"
            )
        with archive:
            return {name: archive[name] for name in (names or archive.files)}
    except Exception as error:
        raise ValueError(f"{path}: not a readable .npz: {_fault(error)}") from None


def _fault(error: Exception) -> str:
    """Say what is wrong without NumPy's advice to load objects, which runs code of the file."""
    if isinstance(error, OSError):
        return error.strerror or one_line(error)
    if "pickle" not in str(error):
        return one_line(error)
    if "Object arrays" in str(error):
        return "it holds Python objects (dtype object), expected numbers; save it as numbers"
    return "it is damaged, of another format, or holds Python objects"

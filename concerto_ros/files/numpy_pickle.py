# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pickles of plain containers and NumPy arrays, read without running code from the file."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

#: What pickles of arrays and scalars of NumPy 1 and 2 call; nothing else may be called.
_ALLOWED = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
} | {
    (f"numpy.{core}.{module}", name)
    for core in ("core", "_core")
    for module, name in (
        ("multiarray", "_reconstruct"),
        ("multiarray", "scalar"),
        ("numeric", "_frombuffer"),
    )
}

#: Exceptions that a damaged pickle, or one with other content, raises.
DAMAGE = (
    pickle.UnpicklingError,
    EOFError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    ImportError,
    UnicodeDecodeError,
)


def read_arrays(file: BinaryIO) -> Any:
    """Read a pickle of lists, tuples, dicts, texts, numbers and arrays.

    Raises:
        pickle.UnpicklingError: It holds anything else; a damaged file raises whatever pickle
            does.
    """
    return _ArrayUnpickler(file, encoding="latin1").load()


def read_npy_objects(path: Path) -> np.ndarray:
    """Read a ``.npy`` file: an array of numbers, or of objects that :func:`read_arrays` reads.

    Raises:
        OSError: It cannot be opened; a damaged file, or one with other objects, raises one of
            :data:`DAMAGE`.
    """
    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0
        if version > (1, 0):
            read = np.lib.format.read_array_header_2_0
        _, _, dtype = read(file)
        if dtype.hasobject:
            return read_arrays(file)
        file.seek(0)
        return np.load(file, allow_pickle=False)


class _ArrayUnpickler(pickle.Unpickler):
    """An unpickler that calls only what arrays need."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(
                f"the pickle needs {module}.{name}, expected NumPy arrays and plain values only"
            )
        return super().find_class(module, name)

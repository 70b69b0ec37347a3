# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pickles of plain containers and NumPy arrays, read without running code from the file."""

from __future__ import annotations

import pickle
from typing import Any, BinaryIO

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


def read_arrays(file: BinaryIO) -> Any:
    """Read a pickle of lists, tuples, dicts, texts, numbers and arrays.

    Raises:
        pickle.UnpicklingError: It holds anything else; a damaged file raises whatever pickle
            does.
    """
    return _ArrayUnpickler(file, encoding="latin1").load()


class _ArrayUnpickler(pickle.Unpickler):
    """An unpickler that calls only what arrays need."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(
                f"the pickle needs {module}.{name}, expected NumPy arrays and plain values only"
            )
        return super().find_class(module, name)

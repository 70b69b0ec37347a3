# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pickles of plain containers and numpy's arrays, read so that nothing in them can run."""

from __future__ import annotations

import pickle
from typing import Any, BinaryIO

#: What arrays and numbers of numpy 1 and 2 are made of. Nothing else in a file is called.
_PARTS = {
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
    """What a pickle holds: lists, tuples, dicts, texts, numbers and arrays.

    Raises pickle.UnpicklingError for anything else, and what pickle raises for a damaged file.
    """
    return _ArrayUnpickler(file, encoding="latin1").load()


class _ArrayUnpickler(pickle.Unpickler):
    """Can call nothing that is not needed for arrays."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _PARTS:
            raise pickle.UnpicklingError(f"{module}.{name} is no part of an array")
        return super().find_class(module, name)

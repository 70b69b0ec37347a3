# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""NumPy scalars, and arrays, in PyTorch files.

Trainings that score with scikit-learn store the score beside the weights as a NumPy scalar, which
``torch.load(..., weights_only=True)`` refuses unless it is allowed.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch

#: The module that NumPy 1 and NumPy 2 restore a scalar with.
MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")

DTYPES = ("f2", "f4", "f8", "i4", "i8", "?")


def numpy_scalars_allowed(*, arrays: bool = False) -> AbstractContextManager:
    """Return a context in which ``torch.load(..., weights_only=True)`` reads NumPy scalars.

    Still no code of the file runs. Without effect for PyTorch older than 2.5.

    Args:
        arrays: Whether to read NumPy arrays of numbers as well.
    """
    if not hasattr(torch.serialization, "safe_globals"):
        return nullcontext()
    dtypes = [type(np.dtype(name)) for name in DTYPES]
    allowed: list[Any] = [
        np.dtype,
        *dtypes,
        *(_maker(module) for module in MODULES),
    ]
    if arrays:
        allowed += [np.ndarray, *(_array_maker(module) for module in MODULES)]
    return torch.serialization.safe_globals(allowed)


def _maker(module: str) -> Callable[[np.dtype, bytes], np.generic]:
    """Make the function that restores a scalar, under the name that a file calls it by."""

    def scalar(dtype: np.dtype, data: bytes) -> np.generic:
        return np.frombuffer(data, dtype, count=1)[0]

    scalar.__module__, scalar.__qualname__ = module, scalar.__name__
    return scalar


def _array_maker(module: str) -> Callable[[type, tuple, bytes], np.ndarray]:
    """Make the function that begins to restore an array: its state follows it in the file."""

    def _reconstruct(kind: type, shape: tuple, dtype: bytes) -> np.ndarray:
        return np.empty(0, np.uint8)

    _reconstruct.__module__, _reconstruct.__qualname__ = module, _reconstruct.__name__
    return _reconstruct

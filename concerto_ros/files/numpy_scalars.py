# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Numbers of numpy in files of PyTorch.

Trainings that score with scikit-learn write the score beside the weights as a number of numpy,
which ``torch.load(..., weights_only=True)`` refuses unless told.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch

#: How numpy 1 and numpy 2 name the module that makes a number again.
MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")

KINDS = ("f2", "f4", "f8", "i4", "i8", "?")


def numpy_scalars_allowed() -> AbstractContextManager:
    """Within it, ``torch.load`` reads numbers of numpy, and runs no more than before.

    Where PyTorch is older than 2.5 it changes nothing.
    """
    if not hasattr(torch.serialization, "safe_globals"):
        return nullcontext()
    kinds = [type(np.dtype(kind)) for kind in KINDS]
    return torch.serialization.safe_globals(
        [np.dtype, *kinds, *(_maker(module) for module in MODULES)]
    )


def _maker(module: str) -> Callable[[np.dtype, bytes], np.generic]:
    """A function under the name that a file calls."""

    def scalar(dtype: np.dtype, data: bytes) -> np.generic:
        return np.frombuffer(data, dtype, count=1)[0]

    scalar.__module__, scalar.__qualname__ = module, scalar.__name__
    return scalar

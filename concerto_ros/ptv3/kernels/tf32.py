# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether CUDA may round float32 products to TF32, by either of PyTorch's two settings.

PyTorch 2.9 added ``fp32_precision`` beside ``allow_tf32``. Once somebody has set the new one,
reading the old one raises.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

#: By the name of the setting: its values for TF32 and for all digits of float32.
_VALUES: dict[str, tuple[Any, Any]] = {
    "allow_tf32": (True, False),
    "fp32_precision": ("tf32", "ieee"),
}


def may_use_tf32() -> bool:
    """Return whether matrix products of float32 may use TF32 on CUDA."""
    name, value = _setting(torch.backends.cuda.matmul)
    return value == _VALUES[name][0]


@contextmanager
def whole_float32() -> Iterator[None]:
    """Let CUDA multiply float32 in full precision inside; convolutions use TF32 by default."""
    backends = (torch.backends.cudnn, torch.backends.cuda.matmul)
    before = [(backend, *_setting(backend)) for backend in backends]
    try:
        for backend, name, _ in before:
            setattr(backend, name, _VALUES[name][1])
        yield
    finally:
        for backend, name, value in before:
            setattr(backend, name, value)


def _setting(backend: Any) -> tuple[str, Any]:
    """Return the name of the setting that can be read, and its value."""
    try:
        return "allow_tf32", backend.allow_tf32
    except RuntimeError:
        return "fp32_precision", backend.fp32_precision

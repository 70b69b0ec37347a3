# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Digests (hashes) of arrays, texts and model weights."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn


def shown(value: Any) -> str:
    """Return ``str(value)`` without memory addresses, which differ between processes."""
    return re.sub(r" at 0x[0-9a-f]+", "", str(value))


def digest(parts: Iterable[str | np.ndarray | None]) -> str:
    """Return a 32-digit hexadecimal hash of the content, type, shape and order of ``parts``."""
    result = hashlib.blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, np.ndarray):
            result.update(f"{part.dtype.str} {part.shape};".encode())
            result.update(np.ascontiguousarray(part).data)
        else:
            result.update(f"{part!r};".encode())
    return result.hexdigest()


def weights_digest(model: nn.Module, shape: Any, precision: torch.dtype = torch.float32) -> str:
    """Return a 32-digit hexadecimal hash of a model, the same on every device.

    Args:
        model: Its state dict is hashed.
        shape: Its architecture; ``str(shape)`` is hashed.
        precision: Weights are rounded to it first: in bfloat16 a model that was loaded in
            bfloat16 has the hash of the same model in float32.
    """
    return tensors_digest(model.state_dict(), shape, precision)


def tensors_digest(
    tensors: Mapping[str, torch.Tensor], shape: Any, precision: torch.dtype = torch.float32
) -> str:
    """Return the :func:`weights_digest` of a model with this state dict."""
    result = hashlib.sha256(str(shape).encode())
    for name, value in sorted(tensors.items()):
        result.update(name.encode())
        rounded = value.detach().to("cpu", precision).float()
        result.update(rounded.contiguous().numpy().tobytes())
    return result.hexdigest()[:32]

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Digests that tell arrays, texts and weights apart."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import nn


def shown(value: Any) -> str:
    """``value`` as text, without addresses, which differ from process to process.

    A function shows its own.
    """
    return re.sub(r" at 0x[0-9a-f]+", "", str(value))


def digest(parts: Iterable[str | np.ndarray | None]) -> str:
    """32 hexadecimal digits that tell texts and arrays apart by content, type, shape and order."""
    result = hashlib.blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, np.ndarray):
            result.update(f"{part.dtype.str} {part.shape};".encode())
            result.update(np.ascontiguousarray(part))
        else:
            result.update(f"{part!r};".encode())
    return result.hexdigest()


def weights_digest(model: nn.Module, shape: Any, precision: torch.dtype = torch.float32) -> str:
    """32 hexadecimal digits that tell models of one kind apart by ``shape``, as text, and weights.

    They are the same on every device. Weights are rounded to ``precision`` first: in bfloat16 the
    digits of a model that was loaded in it are those of the same one in float32.
    """
    result = hashlib.sha256(str(shape).encode())
    for name, value in sorted(model.state_dict().items()):
        result.update(name.encode())
        rounded = value.detach().to("cpu", precision).float()
        result.update(rounded.contiguous().numpy().tobytes())
    return result.hexdigest()[:32]

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Tensors of a file that are not finite, by name."""

from __future__ import annotations

from collections.abc import Mapping

import torch

#: At most this many tensors are named.
_NAMED = 4


def not_finite(tensors: Mapping[str, torch.Tensor]) -> str:
    """Name the tensors that hold NaN or infinity.

    Args:
        tensors: by name, such as a state dict; those of whole numbers are finite.

    Returns:
        Such as ``head.bias (1 of 20 values) and 3 more``; empty if all are finite.
    """
    faults = [
        f"{name} ({int((~value.isfinite()).sum())} of {value.numel()} values)"
        for name, value in tensors.items()
        if not _finite(value)
    ]
    more = f" and {len(faults) - _NAMED} more" if len(faults) > _NAMED else ""
    return ", ".join(faults[:_NAMED]) + more


def _finite(value: torch.Tensor) -> bool:
    if not value.is_floating_point() or not value.numel():
        return True
    low, high = torch.aminmax(value.detach())  # both are NaN where any value is
    return bool(low.isfinite() & high.isfinite())

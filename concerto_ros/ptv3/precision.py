# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The default precision of an encoder, by device."""

from __future__ import annotations

import torch

from concerto_ros.ptv3.cpu import onednn

#: The compute capability from which a GPU has instructions for bfloat16.
_BFLOAT16_CAPABILITY = (8, 0)


def automatic_precision(device: torch.device) -> torch.dtype:
    """Return the fastest precision of ``device`` whose features stay within 2e-2 of float32's.

    bfloat16 on GPUs and CPUs with instructions for it (compute capability 8.0; AMX, AVX512-BF16);
    float32 elsewhere, where bfloat16 would be emulated. It is a property of the machine, not a
    measurement: the same machine always gives the same answer.
    """
    return torch.bfloat16 if _has_bfloat16(device) else torch.float32


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= _BFLOAT16_CAPABILITY
    return device.type == "cpu" and onednn.has_bfloat16_products()

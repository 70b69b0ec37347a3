# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which precision an encoder computes in where nobody says."""

from __future__ import annotations

import torch

from concerto_ros.ptv3 import onednn


def automatic_precision(device: torch.device) -> torch.dtype:
    """The fastest precision of ``device`` whose features stay within 2e-2 of float32's.

    bfloat16 on CUDA and on CPUs with instructions for it (AMX, AVX512-BF16); float32 elsewhere,
    where bfloat16 would be emulated. A property of the machine, not a measurement: the same
    machine always gives the same answer.
    """
    if device.type == "cuda" or device.type == "cpu" and onednn.has_bfloat16_products():
        return torch.bfloat16
    return torch.float32

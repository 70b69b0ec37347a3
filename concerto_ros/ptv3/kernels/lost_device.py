# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Recognising a GPU that computes nothing any more in this process.

After an illegal memory access, a failed assertion on the device, a hardware fault (Xid) or, on
some machines, a suspend, every further call to CUDA fails. Only another process can compute again.
"""

from __future__ import annotations

import torch

from concerto_ros.ptv3.kernels.out_of_memory import is_out_of_memory

#: An error of one launch is reported once, by the next call; that of a lost device every time.
_TRIES = 2


def why_lost(device: torch.device) -> str:
    """Return why ``device`` computes nothing any more in this process; empty where it does.

    Waits for what the device computes at the moment. A device without free memory is not lost, nor
    is one that this process has not used yet.
    """
    if device.type != "cuda" or not torch.cuda.is_initialized():
        return ""
    why = ""
    for _ in range(_TRIES):
        try:
            compute(device)
            return ""
        except Exception as error:  # of the driver, of PyTorch; which one depends on its version
            if is_out_of_memory(error):
                return ""
            why = str(error).strip().partition("\n")[0] or type(error).__name__
    return why


def compute(device: torch.device) -> None:
    """Compute one number on the device, and wait for it."""
    torch.zeros(1, device=device).add_(1).item()

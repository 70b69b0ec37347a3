# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Copies between the memory of the computer and that of a GPU, with as little waiting as possible.

A copy from or to memory that the system may move elsewhere (pageable) makes the program wait for
all that the GPU has to do before. From pinned memory it does not, and several results that are
fetched together cost one wait.
"""

from __future__ import annotations

import numpy as np
import torch


def sent(values: torch.Tensor, device: torch.device | str) -> torch.Tensor:
    """Return a tensor on ``device``; the program does not wait for a copy to a GPU."""
    device = torch.device(device)
    if device.type == "cuda" and values.device.type == "cpu":
        # PyTorch keeps the pinned memory until the copy is done, and then for the next one.
        return values.pin_memory().to(device, non_blocking=True)
    return values.to(device)


def fetched(*values: torch.Tensor) -> tuple[np.ndarray, ...]:
    """Return the values of tensors, waiting once for all that are on the same GPU."""
    arrived = [_begin_to_fetch(value) for value in values]
    for device in dict.fromkeys(value.device for value in values if value.device.type == "cuda"):
        # An event, and not all streams of the device: others may compute on it meanwhile.
        torch.cuda.current_stream(device).record_event().synchronize()
    # The pinned memory is needed for the next copies; what is returned may be kept for long.
    return tuple(
        copy.numpy() if copy is value else copy.numpy().copy()
        for copy, value in zip(arrived, values, strict=True)
    )


def _begin_to_fetch(value: torch.Tensor) -> torch.Tensor:
    if value.device.type != "cuda":
        return value if value.device.type == "cpu" else value.cpu()
    pinned = torch.empty(value.shape, dtype=value.dtype, pin_memory=True)
    return pinned.copy_(value, non_blocking=True)

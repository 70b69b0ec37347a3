# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The default precision of an encoder, by device."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from concerto_ros.ptv3.cpu import onednn
from concerto_ros.settings.settings import TRAINING_PRECISIONS

#: The compute capability from which a GPU has instructions for bfloat16.
_BFLOAT16_CAPABILITY = (8, 0)


def automatic_precision(device: torch.device) -> torch.dtype:
    """Return the fastest precision of ``device`` whose features stay within 2e-2 of float32's.

    bfloat16 on GPUs and CPUs with instructions for it (compute capability 8.0; AMX, AVX512-BF16);
    float32 elsewhere, where bfloat16 would be emulated. It is a property of the machine, not a
    measurement: the same machine always gives the same answer.
    """
    return torch.bfloat16 if _has_bfloat16(device) else torch.float32


def head_precision(device: torch.device, dtype: torch.dtype) -> torch.dtype:
    """Return the precision of a linear head beside an encoder that computes in ``dtype``.

    On a GPU float32: of the labels that differ from those of a float32 encoder half are due to a
    head in bfloat16, and its few products take no time there. On a CPU that of the encoder.
    """
    return torch.float32 if device.type == "cuda" else dtype


def training_precision(
    device: torch.device, precision: str = "auto"
) -> AbstractContextManager[object]:
    """Return what forward passes and losses of a training on ``device`` run under.

    In bfloat16: matrix products in it, weights, norms, softmax and losses in float32
    (Micikevicius et al., "Mixed Precision Training", ICLR 2018); bfloat16 needs no scaled loss.

    Args:
        device: Where the training runs.
        precision: ``bfloat16``; ``float32``, which changes nothing; or ``auto``: bfloat16 on a GPU
            that has it, float32 elsewhere, also on a CPU with instructions for it.

    Raises:
        ValueError: ``precision`` is none of these.
    """
    if precision not in TRAINING_PRECISIONS:
        known = ", ".join(TRAINING_PRECISIONS)
        raise ValueError(f"precision is {precision!r}, expected one of {known}")
    if precision == "auto":
        gpu = device.type == "cuda" and automatic_precision(device) == torch.bfloat16
        precision = "bfloat16" if gpu else "float32"
    if precision == "bfloat16":
        return torch.autocast(device.type, torch.bfloat16)
    return nullcontext()


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= _BFLOAT16_CAPABILITY
    return device.type == "cpu" and onednn.has_bfloat16_products()

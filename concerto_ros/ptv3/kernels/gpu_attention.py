# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Scaled dot-product attention on a GPU, by kernels that are named instead of left to PyTorch.

Left to itself, PyTorch takes cuDNN on newer GPUs (compute capability 9 and 10). cuDNN builds a
plan for every new shape, and PyTorch keeps all of them. The patches of a moving robot's clouds
have new shapes for ever. FlashAttention (Dao, 2023) and the memory-efficient kernel have no such
plans.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.backends.cuda import (
    SDPAParams,
    can_use_efficient_attention,
    can_use_flash_attention,
)
from torch.nn.functional import pad, scaled_dot_product_attention

from concerto_ros.ptv3.kernels.measured import choices, package

_flash = torch.ops.aten._scaled_dot_product_flash_attention
_efficient = torch.ops.aten._scaled_dot_product_efficient_attention

_parameters: Callable[..., SDPAParams] = SDPAParams

#: Channels of a head, and keys of a mask, come in multiples of these for the kernels.
_CHANNELS, _KEYS = 8, 16


def attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *,
    attn_mask: torch.Tensor | None,
    scale: float,
) -> torch.Tensor:
    """Compute scaled dot-product attention, with gradients.

    The channels are padded by zeros to a multiple of 8: PyTorch's fused kernels require rows of
    whole 16 bytes, and without them every score would be written to memory. Heads with rotary
    embedding are multiples of 6 channels wide.

    Args:
        query: (B, H, Q, D) of any floating-point type.
        key: (B, H, K, D).
        value: (B, H, K, D).
        attn_mask: (B or 1, 1, 1, K) bool, False where a key does not count; None: all count.
        scale: factor of the scores.

    Returns:
        (B, H, Q, D).
    """
    width = query.shape[-1]
    if width % _CHANNELS:
        query, key, value = (pad(part, (0, -width % _CHANNELS)) for part in (query, key, value))
    return _fused(query, key, value, attn_mask, scale)[..., :width]


def _fused(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    scale: float,
) -> torch.Tensor:
    """Call the fastest kernel that takes the arguments; PyTorch's choice where none does."""
    if mask is None and _fits(can_use_flash_attention, query, key, value, None):
        if (flash := _other_flash(query)) is not None:
            rows = (part.transpose(1, 2) for part in (query, key, value))
            return flash(*rows, softmax_scale=scale).transpose(1, 2)
        return _flash(query, key, value, scale=scale)[0]
    bias = None if mask is None else score_bias(mask, query)
    if _fits(can_use_efficient_attention, query, key, value, bias):
        learning = torch.is_grad_enabled() and (
            query.requires_grad or key.requires_grad or value.requires_grad
        )
        return _efficient(query, key, value, bias, learning, scale=scale)[0]
    return scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scale)


def _other_flash(query: torch.Tensor) -> Callable[..., torch.Tensor] | None:
    """Return flash-attn's own function where it was measured to be faster, else None."""
    chosen = choices(query.device).attention
    module = package(chosen) if chosen else None
    return None if module is None else module.flash_attn_func


def _fits(
    kernel_takes: Callable[[SDPAParams], bool],
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    bias: torch.Tensor | None,
) -> bool:
    """Return whether a kernel is built in, allowed, and takes arguments like these."""
    arguments = query, key, value, bias, 0.0, False
    try:
        return kernel_takes(_parameters(*arguments, False))
    except TypeError:  # PyTorch before 2.5, which has no grouped heads
        return kernel_takes(_parameters(*arguments))


def score_bias(mask: torch.Tensor, query: torch.Tensor) -> torch.Tensor:
    """Return what to add to the scores: minus infinity where ``mask`` (B, 1, 1, K) is False.

    Returns:
        (B, H, Q, K) in the type of ``query`` (B, H, Q, D), whose rows start at whole 16 numbers,
            as the memory-efficient kernel requires.
    """
    keys = mask.shape[-1]
    bias = query.new_zeros(mask.shape).masked_fill(~mask, -torch.inf)
    bias = pad(bias, (0, -keys % _KEYS))[..., :keys]
    return bias.expand(len(query), query.shape[1], query.shape[2], keys)

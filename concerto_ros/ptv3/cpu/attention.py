# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Attention on the CPU as oneDNN matrix products with the exponential applied in the registers."""

from __future__ import annotations

import torch
from torch.nn import functional

from concerto_ros.ptv3.cpu import onednn
from concerto_ros.ptv3.cpu.allocation import keep_freed_memory
from concerto_ros.ptv3.cpu.threads import for_each

#: With fewer pairs of query and key, a product for each head costs more than it saves.
_MIN_PAIRS = 1 << 16

#: Left of minus this, sigmoid and exponential differ by less than the precision's rounding.
_FAR_LEFT = {torch.bfloat16: 8.0, torch.float32: 16.0}

#: A sum of weights below this may have lost some of them to underflow.
_MIN_SUM = 1e-30


def pays(query: torch.Tensor, key: torch.Tensor) -> bool:
    """Return whether :func:`attend` is faster for (P, H, Q, D) queries and (P, H, K, D) keys.

    In float32 it is on CPUs with AVX-512 at its whole width only. False for tensors without
    values, like those of ``FakeTensorMode``: it reads the sums.
    """
    pairs = query.shape[2] * key.shape[2]
    if type(query) is not torch.Tensor or pairs < _MIN_PAIRS or not onednn.usable(query[0, 0]):
        return False
    return query.dtype != torch.float32 or onednn.has_whole_vectors()


def attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float
) -> torch.Tensor | None:
    """Compute softmax attention.

    Far left of zero a sigmoid is an exponential, and oneDNN applies one while the scores are in
    the vector registers. So every row of scores is shifted there, by a bound that no score can
    exceed (Cauchy-Schwarz). The shift multiplies all weights of a row by the same factor, which
    the division by their sum cancels; an additional row of ones in the values yields that sum.

    Args:
        query: (P, H, Q, D).
        key: (P, H, K, D).
        value: (P, H, K, D).
        scale: factor of the scores.

    Returns:
        (P, H, Q, D); None where the scores spread too far for this method, so that a softmax has
            to be used.
    """
    keep_freed_memory()
    patches, heads, count, width = query.shape
    longest = _lengths(key).amax(-1, keepdim=True)
    # A little more than the bound, because rounding may increase a score.
    shift = _lengths(query) * longest * (1.02 * abs(scale)) + _FAR_LEFT[query.dtype]
    minus = key.new_full((), -1).expand(*key.shape[:3], 1)
    ones = value.new_ones(()).expand(patches, heads, 1, key.shape[2])
    shifted = torch.cat([query * scale, shift.to(query.dtype)[..., None]], -1).flatten(0, 1)
    keys = torch.cat([key, minus], -1).flatten(0, 1)
    values = torch.cat([value.transpose(2, 3), ones], 2)
    # Keys that are added have no value and add nothing to a sum; queries are cut off below.
    shifted = onednn.in_recurring_rows(shifted, query.dtype)
    keys = onednn.in_recurring_rows(keys, query.dtype)
    values = functional.pad(values, (0, keys.shape[1] - values.shape[3]))
    by_head = zip(shifted, keys, values.flatten(0, 1), strict=True)
    summed = torch.stack(for_each(_weighted_sums, list(by_head)))
    summed = summed.view(patches, heads, width + 1, -1)[..., :count]
    mixed, total = summed.split([width, 1], 2)
    if not total.amin() > _MIN_SUM:
        return None
    return (mixed / total).transpose(2, 3)


def _weighted_sums(head: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Compute one head of one patch: (Q, D) queries, (K, D) keys, (E, K) values -> (E, Q)."""
    queries, keys, values = head
    weights = onednn.product_of_rows(queries, keys, function="sigmoid")
    return onednn.product_of_rows(values, weights)


def _lengths(rows: torch.Tensor) -> torch.Tensor:
    return torch.linalg.vector_norm(rows, dim=-1, dtype=torch.float32)

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Stochastic depth (Huang et al., ECCV 2016): in training, branches of residual blocks are left
out at random.

Branches are hooked from outside for as long as training lasts, so models know nothing of it: their
answers, their parameters' names and their files stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def stochastic_depth(
    blocks: Sequence[Sequence[nn.Module]], rate: float, generator: torch.Generator | None = None
) -> Iterator[None]:
    """While open, each row of what a branch returns is zero with a probability that rises from 0
    in the first block to ``rate`` in the last; what is left grows by as much.

    blocks: the branches of each block, in order; each returns one tensor (B, ...), whose rows are
    left out independently of each other. Branches in evaluation mode are left alone.
    generator: of the random choices, on the CPU; PyTorch's own if None.

    Raises ValueError for a rate that is not in [0, 1).
    """
    if not 0 <= rate < 1:
        raise ValueError(f"the rate of stochastic depth is {rate}, expected 0 to less than 1")
    handles = []
    try:
        for place, branches in enumerate(blocks):
            own = rate * place / max(len(blocks) - 1, 1)
            if own > 0:
                hook = _drop(own, generator)
                handles += [branch.register_forward_hook(hook) for branch in branches]
        yield
    finally:
        for handle in handles:
            handle.remove()


def _drop(rate: float, generator: torch.Generator | None):
    def hook(branch: nn.Module, _inputs: tuple, output: torch.Tensor) -> torch.Tensor | None:
        if not branch.training:
            return None
        kept = torch.rand(len(output), generator=generator) >= rate
        factor = (kept / (1 - rate)).to(output.device, output.dtype)
        return output * factor.view(-1, *[1] * (output.ndim - 1))

    return hook

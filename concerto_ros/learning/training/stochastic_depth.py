# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Stochastic depth (Huang et al., ECCV 2016): drop branches of residual blocks in training.

Branches get forward hooks while training lasts, so the code of the models, the names of their
parameters and their files do not change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

_ForwardHook = Callable[[nn.Module, tuple, torch.Tensor], torch.Tensor | None]


@contextmanager
def stochastic_depth(
    blocks: Sequence[Sequence[nn.Module]], rate: float, generator: torch.Generator | None = None
) -> Iterator[None]:
    """Drop rows of the branches' outputs at random while the context is open.

    The probability rises linearly from 0 in the first block to ``rate`` in the last. Rows that
    remain are scaled by ``1 / (1 - probability)``. Branches in evaluation mode are not changed.

    Args:
        blocks: The branches of each block, in order; each returns one tensor (B, ...), whose rows
            are dropped independently of each other.
        rate: Probability in the last block.
        generator: Random generator on the CPU; None: PyTorch's global one.

    Raises:
        ValueError: ``rate`` is not in [0, 1).
    """
    if not 0 <= rate < 1:
        raise ValueError(f"the rate of stochastic depth is {rate}, expected 0 to less than 1")
    handles = []
    try:
        for index, branches in enumerate(blocks):
            probability = rate * index / max(len(blocks) - 1, 1)
            if probability > 0:
                hook = _drop(probability, generator)
                handles += [branch.register_forward_hook(hook) for branch in branches]
        yield
    finally:
        for handle in handles:
            handle.remove()


def _drop(rate: float, generator: torch.Generator | None) -> _ForwardHook:
    """A forward hook that drops rows of the output with probability ``rate``."""

    def hook(branch: nn.Module, _inputs: tuple, output: torch.Tensor) -> torch.Tensor | None:
        if not branch.training:
            return None
        kept = torch.rand(len(output), generator=generator) >= rate
        factor = (kept / (1 - rate)).to(output.device, output.dtype)
        return output * factor.view(-1, *[1] * (output.ndim - 1))

    return hook

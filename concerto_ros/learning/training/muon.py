# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Muon (Jordan et al., 2024): steps of momentum in which all directions count alike.

The optimiser of PyTorch by that name takes matrices alone; here a convolution kernel is one too.
"""

from __future__ import annotations

import torch

from concerto_ros.learning.training.team import Team
from concerto_ros.ptv3.cpu.matmul import multiply

#: Of the odd quintic that pulls singular values towards one, and how often it is applied: the
#: published ones. They bring values above some 1e-3 of the norm to between 0.7 and 1.2.
COEFFICIENTS, ITERATIONS = (3.4445, -4.7750, 2.0315), 5
#: Root mean square of a step per unit of learning rate, that of AdamW (Liu et al., 2025), so
#: that both share one rate and one weight decay.
STEP_SIZE = 0.2


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised, with decoupled weight decay.

    For parameters of two or more dimensions; all but the first are taken together as columns.

    Attributes
    ----------
    team: the processes that take the same steps; each works out a part of them.
    """

    team = Team()

    def __init__(self, params, lr: float, weight_decay: float = 0.0, momentum: float = 0.95):
        super().__init__(params, dict(lr=lr, weight_decay=weight_decay, momentum=momentum))
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.ndim < 2:
                    raise ValueError(
                        f"a parameter has shape {tuple(parameter.shape)}, wanted two dimensions "
                        "or more"
                    )

    @torch.no_grad()
    def step(self) -> None:
        """Move every parameter that has a gradient."""
        moved = [
            (parameter, group)
            for group in self.param_groups
            for parameter in group["params"]
            if parameter.grad is not None
        ]
        if not moved:
            return
        ahead = [self._ahead(parameter, group["momentum"]) for parameter, group in moved]
        steps = self.team.map(orthogonalised, ahead)
        for (parameter, group), step in zip(moved, steps, strict=True):
            size = STEP_SIZE * max(step.shape) ** 0.5
            matrix = _matrix(parameter)
            matrix.mul_(1 - group["lr"] * group["weight_decay"])
            matrix.add_(step, alpha=-group["lr"] * size)

    def _ahead(self, parameter: torch.nn.Parameter, momentum: float) -> torch.Tensor:
        """The averaged gradient with Nesterov's look ahead, as a matrix."""
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        average = state["momentum"].lerp_(parameter.grad, 1 - momentum)
        return _matrix(parameter.grad.lerp(average, momentum))


def _matrix(value: torch.Tensor) -> torch.Tensor:
    """A view of (M, ...) as the matrix of its rows, or transposed where it lies so in memory."""
    turned = value.movedim(0, -1)
    return turned.flatten(0, -2) if turned.is_contiguous() else value.view(len(value), -1)


def orthogonalised(matrix: torch.Tensor) -> torch.Tensor:
    """(M, N) float32 -> (M, N): about U V^T of its singular value decomposition U S V^T.

    The polynomial is worked out on the smaller of the two Gram matrices, so that the long side
    enters two products instead of ten. Zero stays zero.
    """
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    gram = multiply(wide, wide.T)
    square = gram.diagonal().sum()  # of the Frobenius norm
    gram = gram / square.clamp_min(1e-30)
    linear, cubic, quintic = COEFFICIENTS
    one = torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    factor = None
    for left in reversed(range(ITERATIONS)):
        scale = linear * one + cubic * gram + quintic * multiply(gram, gram)
        factor = scale if factor is None else multiply(scale, factor)
        if left:
            gram = multiply(multiply(scale, gram), scale)
    result = multiply(factor, wide) / square.clamp_min(1e-30).sqrt()
    return result if wide is matrix else result.T

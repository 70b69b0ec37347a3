# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Optimizers and their parameter groups: PyTorch's AdamW and Muon.

Muon (Jordan et al., 2024) orthogonalises the momentum of a weight matrix before each step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from concerto_ros.learning.training.distributed import rank, world_size
from concerto_ros.learning.training.schedule import Schedule


def build_optimizers(
    parameters: Mapping[str, nn.Parameter],
    schedule: Schedule,
    rate_factor: Callable[[str], float] | None = None,
    use_muon: Callable[[str, nn.Parameter], bool] | None = None,
) -> list[torch.optim.Optimizer]:
    """Build AdamW and, for the parameters that ``use_muon`` selects, Muon.

    Args:
        parameters: The parameters to train, by name.
        schedule: Learning rate and weight decay.
        rate_factor: Factor of the learning rate by parameter name; None: 1. The trainer multiplies
            the rate of each parameter group by the group's ``factor``.
        use_muon: By name and value, whether a parameter is trained by Muon; None: none is.

    Returns:
        AdamW, Muon or both, whichever has parameters.
    """
    groups: dict[tuple[bool, float], list[nn.Parameter]] = {}
    for name, parameter in parameters.items():
        muon = use_muon is not None and use_muon(name, parameter)
        factor = 1.0 if rate_factor is None else rate_factor(name)
        groups.setdefault((muon, factor), []).append(parameter)
    optimizers = []
    for for_muon, build in ((False, _build_adam), (True, build_muon)):
        own_groups = [
            {"params": members, "factor": factor}
            for (muon, factor), members in groups.items()
            if muon is for_muon
        ]
        if own_groups:
            rate, decay = schedule.learning_rate, schedule.weight_decay
            optimizers.append(build(own_groups, lr=rate, weight_decay=decay))
    return optimizers


def _build_adam(groups: list[dict[str, Any]], **options: Any) -> torch.optim.Optimizer:
    return torch.optim.AdamW(groups, fused=True, **options)


def require_muon() -> type[torch.optim.Optimizer]:
    """PyTorch's class Muon.

    Raises:
        ImportError: This PyTorch is too old to have it.
    """
    muon = getattr(torch.optim, "Muon", None)
    if muon is None:
        raise ImportError(
            f"this training needs torch.optim.Muon of PyTorch 2.9 or newer, found PyTorch "
            f"{torch.__version__}: pip install 'torch>=2.9'"
        )
    return muon


def build_muon(groups: list[dict[str, Any]], **options: Any) -> torch.optim.Optimizer:
    """Build Muon for parameters of two or more dimensions; all but the first are flattened.

    Its steps have the root mean square of AdamW's (Liu et al., 2025), so that both optimizers use
    the same learning rate and weight decay. Of several training processes each updates a part of
    the parameters and sends them to the others; the gradients have to be equal in all of them.

    Args:
        groups: Parameter groups, as PyTorch's optimizers take them.
        options: Keyword arguments of ``torch.optim.Muon``.

    Raises:
        ImportError: This PyTorch has no Muon.
        ValueError: A parameter has fewer than two dimensions.
    """
    options = {**options, "adjust_lr_fn": "match_rms_adamw"}
    optimizer: torch.optim.Optimizer
    pairs: list[tuple[nn.Parameter, nn.Parameter]] = []
    matrices = []
    for group in groups:
        members = [(parameter, _matrix_of(parameter)) for parameter in group["params"]]
        matrices.append(group | {"params": [matrix for _, matrix in members]})
        pairs += members
    if world_size() > 1:
        from torch.distributed.optim import ZeroRedundancyOptimizer

        optimizer = ZeroRedundancyOptimizer(
            matrices, require_muon(), parameters_as_bucket_view=True, **options
        )
    else:
        optimizer = require_muon()(matrices, **options)
    for parameter, matrix in pairs:  # the optimizer may have moved the matrix in memory
        if _is_transposed(parameter):
            columns = matrix.data.unflatten(0, parameter.shape[1:])
            parameter.data = columns.movedim(-1, 0)
        else:
            parameter.data = matrix.data.view(parameter.shape)

    def copy_gradients(*_: Any) -> None:
        for parameter, matrix in pairs:
            grad = parameter.grad
            matrix.grad = None if grad is None else _flattened(grad, _is_transposed(parameter))

    optimizer.register_step_pre_hook(copy_gradients)
    return optimizer


def whole_state(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """The state of an optimizer whose parts may be distributed over processes.

    All processes have to call it; the process with rank 0 gets the state, others may get ``{}``.
    """
    if world_size() > 1 and hasattr(optimizer, "consolidate_state_dict"):
        optimizer.consolidate_state_dict(to=0)
        return optimizer.state_dict() if rank() == 0 else {}
    return optimizer.state_dict()


def _matrix_of(parameter: nn.Parameter) -> nn.Parameter:
    """A parameter of two or more dimensions as a matrix, contiguous in memory."""
    if parameter.ndim < 2:
        raise ValueError(
            f"a parameter for Muon has shape {tuple(parameter.shape)}, expected two dimensions or "
            "more; train it by AdamW"
        )
    return nn.Parameter(_flattened(parameter.detach(), _is_transposed(parameter)))


def _is_transposed(parameter: torch.Tensor) -> bool:
    """Whether the first dimension is the last one in memory."""
    return not parameter.is_contiguous() and parameter.movedim(0, -1).is_contiguous()


def _flattened(value: torch.Tensor, transposed: bool) -> torch.Tensor:
    """(M, ...) as the matrix of its rows, or of its columns; a view if its strides allow it."""
    return value.movedim(0, -1).flatten(0, -2) if transposed else value.flatten(1)

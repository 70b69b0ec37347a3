# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which optimiser moves which parameters of a model, and how fast: PyTorch's AdamW and Muon.

Muon (Jordan et al., 2024): steps of momentum in which all directions count alike.
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
    slow: Callable[[str], float] | None = None,
    orthogonal: Callable[[str, nn.Parameter], bool] | None = None,
) -> list[torch.optim.Optimizer]:
    """AdamW, and Muon for the ``parameters`` that are ``orthogonal`` by name and value.

    Each group has a ``factor``, what ``slow`` gives for the names of its parameters (1 if None),
    for the trainer to multiply the learning rate of the ``schedule`` with.
    """
    groups: dict[tuple[bool, float], list[nn.Parameter]] = {}
    for name, parameter in parameters.items():
        kind = orthogonal is not None and orthogonal(name, parameter)
        factor = 1.0 if slow is None else slow(name)
        groups.setdefault((kind, factor), []).append(parameter)
    return [
        build(
            [
                {"params": members, "factor": factor}
                for (kind, factor), members in groups.items()
                if kind is wanted
            ],
            lr=schedule.learning_rate,
            weight_decay=schedule.weight_decay,
        )
        for wanted, build in ((False, _adam), (True, build_muon))
        if any(kind is wanted for kind, _ in groups)
    ]


def _adam(groups: list[dict[str, Any]], **options: float) -> torch.optim.Optimizer:
    return torch.optim.AdamW(groups, fused=True, **options)


def require_muon() -> type[torch.optim.Optimizer]:
    """PyTorch's Muon; ImportError where it is too old to have one."""
    found = getattr(torch.optim, "Muon", None)
    if found is None:
        raise ImportError(
            f"this training needs torch.optim.Muon of PyTorch 2.9 or newer, found PyTorch "
            f"{torch.__version__}: pip install 'torch>=2.9'"
        )
    return found


def build_muon(groups: list[dict[str, Any]], **options: float) -> torch.optim.Optimizer:
    """Muon for parameters of two or more dimensions; all but the first are taken as columns.

    Its steps have the root mean square of AdamW's (Liu et al., 2025), so that both share one rate
    and one weight decay. Where several processes train together, each moves a part of the
    parameters and hands them to the others; the gradients must be equal in all.
    """
    options = {**options, "adjust_lr_fn": "match_rms_adamw"}
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
    for parameter, matrix in pairs:  # the optimiser may have moved the matrix in memory
        if _is_turned(parameter):
            columns = matrix.data.unflatten(0, parameter.shape[1:])
            parameter.data = columns.movedim(-1, 0)
        else:
            parameter.data = matrix.data.view(parameter.shape)

    def hand_gradients(*_: Any) -> None:
        for parameter, matrix in pairs:
            grad = parameter.grad
            matrix.grad = None if grad is None else _flattened(grad, _is_turned(parameter))

    optimizer.register_step_pre_hook(hand_gradients)
    return optimizer


def whole_state(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Its state, parts of which other processes may have; all call this, the first gets it."""
    if world_size() > 1 and hasattr(optimizer, "consolidate_state_dict"):
        optimizer.consolidate_state_dict(to=0)
        return optimizer.state_dict() if rank() == 0 else {}
    return optimizer.state_dict()


def _matrix_of(parameter: nn.Parameter) -> nn.Parameter:
    """A parameter of two or more dimensions as one of two, dense in memory."""
    if parameter.ndim < 2:
        raise ValueError(
            f"a parameter has shape {tuple(parameter.shape)}, expected two dimensions or more"
        )
    return nn.Parameter(_flattened(parameter.detach(), _is_turned(parameter)))


def _is_turned(parameter: torch.Tensor) -> bool:
    """Whether its first dimension is the last one in memory."""
    return not parameter.is_contiguous() and parameter.movedim(0, -1).is_contiguous()


def _flattened(value: torch.Tensor, turned: bool) -> torch.Tensor:
    """(M, ...) as the matrix of its rows, or of its columns; a view where its memory allows."""
    return value.movedim(0, -1).flatten(0, -2) if turned else value.flatten(1)

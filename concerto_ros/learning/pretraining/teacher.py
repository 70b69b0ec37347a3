# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The teacher: a moving average of the student (Tarvainen and Valpola, NeurIPS 2017)."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import nn

Module = TypeVar("Module", bound=nn.Module)


def teacher_of(student: Module) -> Module:
    """A copy of the student that gets no gradients."""
    return copy.deepcopy(student).requires_grad_(False)


@torch.no_grad()
def update_teacher(
    teacher: nn.Module, student: nn.Module, momentum: float, *, fixed: str | None = None
) -> None:
    """Move the teacher towards the student: ``momentum * teacher + (1 - momentum) * student``.

    Args:
        teacher: Changed in place; has the parameters of the student.
        student: After its step.
        momentum: 0 to 1, that of this step.
        fixed: Beginning of the names of parameters that stay as they are, e.g. ``backbone.`` for
            a teacher from a file whose heads alone follow; None: all follow.
    """
    own = dict(student.named_parameters())
    for name, parameter in teacher.named_parameters():
        if fixed is None or not name.startswith(fixed):
            parameter.mul_(momentum).add_(own[name].to(parameter), alpha=1 - momentum)

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What goes along with the weights of a training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import torch


class Companion(Protocol):
    """Changes with the steps beside the weights, e.g. a teacher that follows them."""

    def begin(self, share: float, optimizers: list[torch.optim.Optimizer]) -> None:
        """Called before the step at a share (0..1) of the run."""

    def stepped(self) -> None:
        """Called after each step."""

    def state(self) -> dict[str, Any]:
        """What :meth:`restore` needs, as tensors by name."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved :meth:`state`."""

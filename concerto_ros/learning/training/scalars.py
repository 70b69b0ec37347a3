# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Curves of a training run for TensorBoard, where that is installed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from concerto_ros.learning.training.distributed import rank

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

log = logging.getLogger(__name__)


class Scalars:
    """Writes numbers by step; does nothing without a folder, or where TensorBoard is missing.

    Args:
        folder: Where the files are written; None: nowhere.
        step: The first step; what an earlier run wrote for later steps is hidden.
    """

    def __init__(self, folder: Path | None, step: int = 0):
        self._writer: SummaryWriter | None = None
        if folder is None or rank():
            return
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            log.info("TensorBoard is not installed: no scalars; pip install 'concerto_ros[train]'")
            return
        self._writer = SummaryWriter(str(folder), purge_step=step or None)

    def add(self, group: str, step: int, values: Mapping[str, float]) -> None:
        """Write one number per name to the curves of ``group``."""
        if self._writer:
            for name, value in values.items():
                self._writer.add_scalar(f"{group}/{name}", value, step)

    def close(self) -> None:
        """Write what is left."""
        if self._writer:
            self._writer.close()

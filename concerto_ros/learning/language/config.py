# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The options of a language head's training, known without PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

#: How a head is found: by steps of AdamW, or as the least-squares solution in closed form.
SOLVERS = ("adamw", "ridge")


@dataclass(frozen=True)
class LanguageConfig:
    """Options of a training.

    Attributes:
        folder: Where features, state and results are written.
        solver: One of :data:`SOLVERS`.
        steps: Of AdamW.
        batch_size: Scans in a batch.
        voxels: Voxels of each scan, at most.
        views: Cached copies of each scan: the scan itself and ``views - 1`` augmented ones.
        learning_rate: Peak learning rate of AdamW.
        weight_decay: Of AdamW.
        strength: Of the ridge: penalty of the weights as a share of the features' variance.
        validate_every: Steps between validations.
        checkpoint_every: Steps between writings of the state.
        minutes: Time limit of AdamW; None: no limit.
        seed: Random seed.
        progress: Whether to show progress bars.
    """

    folder: Path
    solver: str = "adamw"
    steps: int = 1500
    batch_size: int = 4
    voxels: int = 1500
    views: int = 1
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    strength: float = 1e-3
    validate_every: int = 250
    checkpoint_every: int = 200
    minutes: float | None = None
    seed: int = 0
    progress: bool = True

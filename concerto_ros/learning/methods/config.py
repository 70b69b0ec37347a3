# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The methods of training and their options, known without PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

#: Rank, scale and dropout of LoRA, as published for Concerto.
RANK, ALPHA, DROPOUT = 8, 16.0, 0.1

#: Per method: description of what is trained, and the published peak learning rate, that of
#: Concerto's base model.
METHODS = {
    "head": ("a linear head on the frozen encoder", 2e-3),
    "decoder": ("a decoder and a linear head on the frozen encoder", 1e-3),
    "lora": ("low-rank adapters in the encoder's attention and a linear head", 2e-3),
    "full": ("the encoder, a decoder and a linear head", 1e-3),
}

#: Published peak learning rate of all methods with an encoder as wide as Concerto's large one.
LARGE_WIDTH, LARGE_RATE = 768, 2e-3

#: Published rate of stochastic depth by method. That of heads is 0.3 as well, but their features
#: are computed once, without it.
DROP_PATH = {"decoder": 0.3, "lora": 0.3, "full": 0.3}


@dataclass(frozen=True)
class TrainingConfig:
    """Options of a training; see also :class:`~concerto_ros.learning.training.trainer.Trainer`.

    Attributes:
        folder: Where state, features and results are written.
        steps: Number of optimizer steps.
        batch_size: Scans in a batch.
        accumulate: Batches whose gradients are accumulated for a step.
        learning_rate: Peak learning rate; None: the published one of the method and the encoder's
            width.
        weight_decay: AdamW weight decay.
        balance: Whether to weight the classes by the inverse square root of their frequency.
        views: Of method ``head``, cached copies of each scan: the scan itself and ``views - 1``
            augmented ones.
        decoder: Of method ``full``, whether to add a decoder.
        rank: LoRA rank.
        alpha: LoRA scale, times ``rank``.
        dropout: LoRA dropout.
        drop_path: Rate of stochastic depth in the deepest blocks, see :func:`drop_path`; None: the
            published rate of the method.
        validate_every: Steps between validations.
        patience: Validations without a better mIoU after which training ends; 0: never.
        checkpoint_every: Steps between writings of the state.
        minutes: Time limit; None: no limit.
        seed: Random seed.
        progress: Whether to show progress bars.
    """

    folder: Path
    steps: int = 2000
    batch_size: int = 2
    accumulate: int = 1
    learning_rate: float | None = None
    weight_decay: float = 0.02
    balance: bool = False
    views: int = 4
    decoder: bool = True
    rank: int = RANK
    alpha: float = ALPHA
    dropout: float = DROPOUT
    drop_path: float | None = None
    validate_every: int = 100
    patience: int = 0
    checkpoint_every: int = 200
    minutes: float | None = None
    seed: int = 0
    progress: bool = True

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Hyper-parameters of MixCon3D's training, as published."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class ContrastRecipe:
    """A training; defaults are those of the paper's commands.

    Attributes:
        learning_rate: Peak learning rate of AdamW.
        end_rate: Learning rate at the end of the cosine.
        epochs: Number of epochs.
        warm_up: Epochs of linear warm-up.
        weight_decay: Of everything that learns.
        batch_size: Shapes of a batch.
        accumulate: Batches of a step: the loss compares the shapes of all of them.
        average: Decay of the moving average of the weights.
        points: Points of a cloud.
        size: Size of the encoder, 1 to 6, the ``model.scaling`` of OpenShape.
        fusion: Whether the joint representation is part of the loss.
    """

    learning_rate: float = 6e-3
    end_rate: float = 3e-3
    epochs: int = 200
    warm_up: int = 10
    weight_decay: float = 0.01
    batch_size: int = 256
    accumulate: int = 8
    average: float = 0.9995
    points: int = 10000
    size: int = 3
    fusion: bool = True

    def __post_init__(self):
        for name in ("epochs", "batch_size", "accumulate", "points", "size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, expected at least 1")
        if not 0 < self.end_rate <= self.learning_rate:
            raise ValueError(
                f"end_rate is {self.end_rate} and learning_rate {self.learning_rate}, expected"
                " both above 0 and the end rate not above the peak"
            )

    def with_rate(self, learning_rate: float) -> ContrastRecipe:
        """Return the same with another peak rate; the end rate keeps its share of it."""
        share = self.end_rate / self.learning_rate
        return replace(self, learning_rate=learning_rate, end_rate=share * learning_rate)

    def shortened(self, epochs: int) -> ContrastRecipe:
        """Return the same with other epochs, at most a tenth of them for warm-up."""
        return replace(self, epochs=epochs, warm_up=min(self.warm_up, epochs // 10))


#: Recipes by the names that commands use, that of the paper.
PRESETS = {"mixcon3d": ContrastRecipe()}

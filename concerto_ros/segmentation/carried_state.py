# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The state that inference carries from one snapshot of the map to the next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch

from concerto_ros.heads.pca import PcaColors
from concerto_ros.segmentation.fixed_origin import FixedOrigin
from concerto_ros.segmentation.label_fusion import LabelFusion
from concerto_ros.segmentation.regions.memory import PredictionMemory


class CarriedState(NamedTuple):
    """Origin, colours, fused labels and predictions of the snapshots so far.

    Attributes:
        held: the fixed origin; None: each snapshot has its own.
        colors: the axes and ranges of the PCA colours.
        fusion: the fused labels; None: each snapshot is labelled independently.
        memory: the newest prediction of each voxel, where a prediction covers only what changed;
            it is no part of the :meth:`state`: the first prediction after that covers the whole
            map. None: every prediction does.
    """

    held: FixedOrigin | None
    colors: PcaColors
    fusion: LabelFusion | None
    memory: PredictionMemory | None = None

    @classmethod
    def none(cls) -> CarriedState:
        """Return the state of a snapshot that is labelled by itself."""
        return cls(held=None, colors=PcaColors(), fusion=None)

    def state(self) -> dict[str, torch.Tensor]:
        """Return the tensors of all parts by ``<part>.<name>``, for :meth:`restore`."""
        return {
            f"{prefix}.{name}": value
            for prefix, part in self._parts().items()
            for name, value in part.state().items()
        }

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """Continue from a :meth:`state`."""
        for prefix, part in self._parts().items():
            part.restore(
                {
                    name.removeprefix(f"{prefix}."): value
                    for name, value in state.items()
                    if name.startswith(f"{prefix}.")
                }
            )

    def _parts(self) -> dict[str, FixedOrigin | PcaColors | LabelFusion]:
        parts = {"held": self.held, "colors": self.colors, "fusion": self.fusion}
        return {name: part for name, part in parts.items() if part is not None}

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What goes on from one map of a robot to its next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch

from concerto_ros.heads.pca import PcaColors
from concerto_ros.segmentation.fixed_origin import FixedOrigin
from concerto_ros.segmentation.label_fusion import LabelFusion


class CarriedState(NamedTuple):
    """Origin, colours and fused labels of the maps so far; None: each map stands by itself."""

    held: FixedOrigin | None
    colors: PcaColors
    fusion: LabelFusion | None

    def state(self) -> dict[str, torch.Tensor]:
        """Everything :meth:`restore` needs to go on from here."""
        return {
            f"{prefix}.{name}": value
            for prefix, part in self._parts().items()
            for name, value in part.state().items()
        }

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from a :meth:`state`."""
        for prefix, part in self._parts().items():
            part.restore(
                {
                    name.removeprefix(f"{prefix}."): value
                    for name, value in state.items()
                    if name.startswith(f"{prefix}.")
                }
            )

    def _parts(self) -> dict[str, FixedOrigin | PcaColors | LabelFusion]:
        return {name: part for name, part in self._asdict().items() if part is not None}

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The matrix of a linear head, for exports: heads themselves are on a floor above."""

from __future__ import annotations

from typing import NamedTuple

import torch


class HeadMatrix(NamedTuple):
    """Scores of joined features, ``features @ weight.t() + bias``.

    Attributes:
        name: of the head.
        classes: names in label order.
        temperature: number by which scores are divided before the softmax that turns them into
            confidences.
        weight: (K, C) float32, C the width of a number of joined levels.
        bias: (K,) float32.
    """

    name: str
    classes: tuple[str, ...]
    temperature: float
    weight: torch.Tensor
    bias: torch.Tensor

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Models and features that are not finite, or overflow on the way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from concerto_ros.heads import LinearHead
from concerto_ros.heads.linear import save_head
from concerto_ros.ptv3.encoder import Encoder, Pyramid


def overflowing_head(
    path: Path, factor: float, label: int | None = None, preset: str = "indoor"
) -> Path:
    """The bundled head with finite weights that are too large, of one class or of all."""
    head = LinearHead.load("demo", preset=preset)
    rows = slice(None) if label is None else label
    head.seg_head.weight[rows] *= factor
    save_head(path, head)
    return path


def spoil(encoder: Encoder, edit: Callable[[Pyramid], None]) -> None:
    """Let ``edit`` change the features that ``encoder`` computes from now on."""
    compute = encoder.forward_features

    def spoilt(*arguments, **options) -> Pyramid:
        pyramid = compute(*arguments, **options)
        edit(pyramid)
        return pyramid

    encoder.forward_features = spoilt


def spoil_rows(encoder: Encoder, rows, value: float = float("nan"), level: int = 0) -> list[bool]:
    """Set a feature of ``rows`` of a level to ``value``, while the returned list holds True."""
    active = [True]

    @torch.inference_mode()
    def edit(pyramid: Pyramid) -> None:
        if active[0]:
            pyramid.feats[level][rows, 1] = value

    spoil(encoder, edit)
    return active

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Text encoders: what turns texts into vectors, and which there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch

from concerto_ros.words import open_clip_encoder

#: What may be loaded, for errors and for the help of commands.
ENCODERS = ("minilm", f"{open_clip_encoder.PREFIX}MODEL/WEIGHTS")


class TextEncoder(Protocol):
    """A function of texts to vectors of one width, all in the same space."""

    @property
    def name(self) -> str:
        """The name by which :func:`load_text_encoder` loads it."""

    @property
    def width(self) -> int:
        """D, the number of channels of a vector."""

    def __call__(self, texts: Sequence[str]) -> torch.Tensor:
        """Encode T texts as (T, D) float32 on the CPU."""


def load_text_encoder(name: str, *, download: bool = False) -> TextEncoder:
    """Load a text encoder.

    Args:
        name: ``minilm``, or ``open_clip:MODEL/WEIGHTS``.
        download: Whether weights may be downloaded.

    Raises:
        ValueError: If there is no encoder of this name, or its weights are in no cache and may
            not be downloaded.
        ImportError: If its package is not installed; the text says how to install it.
    """
    if name == "minilm":
        from concerto_ros.words.minilm import MiniLM

        return MiniLM()
    if name.startswith(open_clip_encoder.PREFIX):
        model, _, weights = name.removeprefix(open_clip_encoder.PREFIX).partition("/")
        if model and weights:
            return open_clip_encoder.OpenClipEncoder(model, weights, download=download)
    raise ValueError(f"text encoder: got {name!r}, expected one of {', '.join(ENCODERS)}")

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Text encoders: what turns texts into vectors, and which there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch

from concerto_ros.words.minilm import MiniLM
from concerto_ros.words.open_clip_encoder import PREFIX as OPEN_CLIP
from concerto_ros.words.open_clip_encoder import OpenClipEncoder, fetch_open_clip
from concerto_ros.words.siglip2 import PREFIX as SIGLIP2
from concerto_ros.words.siglip2 import SigLip2

#: What may be loaded, for errors and for the help of commands.
ENCODERS = (MiniLM.name, f"{OPEN_CLIP}MODEL/WEIGHTS", f"{SIGLIP2}MODEL")


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
        name: ``minilm``, ``open_clip:MODEL/WEIGHTS`` by the names of open_clip, or
            ``siglip2:MODEL`` by the name on huggingface.co or the path of a folder.
        download: Whether weights may be downloaded.

    Raises:
        ValueError: If there is no encoder of this name, or its weights are in no cache and may
            not be downloaded.
        ImportError: If its package is not installed; the text says how to install it.
    """
    if name == MiniLM.name:
        return MiniLM()
    if name.startswith(OPEN_CLIP):
        return OpenClipEncoder(*_open_clip_names(name), download=download)
    if name.startswith(SIGLIP2) and name != SIGLIP2:
        return SigLip2(name.removeprefix(SIGLIP2), download=download)
    raise _unknown(name)


def fetch_text_encoder(name: str) -> str:
    """Download the weights of a text encoder into its library's cache; return where they are.

    Raises:
        ValueError: If there is no encoder of this name, or nothing of it to download.
        ImportError: If its package is not installed.
        OSError: If the download fails.
    """
    if name.startswith(OPEN_CLIP):
        return fetch_open_clip(*_open_clip_names(name))
    if name.startswith(SIGLIP2) and name != SIGLIP2:
        SigLip2(name.removeprefix(SIGLIP2), download=True)
        return "in the cache of huggingface.co"
    raise _unknown(name)


def _open_clip_names(name: str) -> tuple[str, str]:
    model, _, weights = name.removeprefix(OPEN_CLIP).partition("/")
    if not model or not weights:
        raise _unknown(name)
    return model, weights


def _unknown(name: str) -> ValueError:
    return ValueError(f"text encoder: got {name!r}, expected one of {', '.join(ENCODERS)}")

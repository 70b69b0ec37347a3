# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The text encoders that object encoders were trained with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch

from concerto_ros.objects.words.zero_shot import SCANOBJECTNN_CLASSES, SCANOBJECTNN_NAMES
from concerto_ros.words.open_clip_encoder import OpenClipEncoder, fetch_open_clip
from concerto_ros.words.prompts import name_alone, prompts


class TextEncoder(NamedTuple):
    """The text side of an object encoder that was trained with words.

    Attributes:
        model, weights: Names in open_clip.
        sentences: The prompts about a name.
        scanobjectnn: The names that its protocol uses for the classes of ScanObjectNN.
    """

    model: str
    weights: str
    sentences: Callable[[str], list[str]]
    scanobjectnn: tuple[str, ...] = SCANOBJECTNN_NAMES


#: The text encoder that each object encoder was trained with.
PUBLISHED = {
    "recon": TextEncoder("ViT-B-32-quickgelu", "openai", prompts, SCANOBJECTNN_CLASSES),
    "mixcon3d": TextEncoder("ViT-bigG-14", "laion2b_s39b_b160k", name_alone),
}

#: Names by which ``concerto-ros download`` fetches them, and the object encoder of each.
DOWNLOADS = {f"{encoder}_words": encoder for encoder in PUBLISHED}


def load_text_encoder(
    encoder: str,
    weights: str | None = None,
    device: str | torch.device = "cpu",
    *,
    download: bool = True,
) -> Callable[[Sequence[str]], torch.Tensor]:
    """Load a text encoder: a function of T texts to (T, D) float32, not normalised, on the CPU.

    Args:
        encoder: The object encoder to go with, a key of :data:`PUBLISHED`.
        weights: A file of the text encoder's weights; None for open_clip's cache or, with
            ``download``, the network.
        device: Where the text encoder runs.
        download: Whether weights may be downloaded.

    Raises:
        ValueError: If the object encoder has no text encoder, or the weights are in no cache and
            may not be downloaded.
        ImportError: If open_clip is not installed.
    """
    text = _published(encoder)
    return OpenClipEncoder(text.model, text.weights, weights, device, download=download)


def fetch_text_encoder(encoder: str) -> str:
    """Let open_clip download an object encoder's text weights into its cache; return their path.

    Raises:
        ValueError: If the object encoder has no text encoder.
        ImportError: If open_clip is not installed.
        OSError: If the download fails.
    """
    text = _published(encoder)
    return fetch_open_clip(text.model, text.weights)


def _published(encoder: str) -> TextEncoder:
    if encoder not in PUBLISHED:
        raise ValueError(
            f"{encoder!r} was not trained with words, expected one of {', '.join(PUBLISHED)}"
        )
    return PUBLISHED[encoder]

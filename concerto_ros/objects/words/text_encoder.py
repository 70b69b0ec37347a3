# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Text encoders (CLIP) of object encoders, where the package ``open_clip`` is installed."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import torch

from concerto_ros.objects.words.vocabulary import Vocabulary
from concerto_ros.objects.words.zero_shot import (
    SCANOBJECTNN_CLASSES,
    SCANOBJECTNN_NAMES,
    name_alone,
    prompts,
)


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

#: The files of a repository that open_clip tries where its table names no file, in this order.
HUB_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")

#: Where open_clip caches weights from other hosts than huggingface.co.
URL_CACHE = "~/.cache/clip"


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
    open_clip = _open_clip(encoder)
    model_name, published, *_ = PUBLISHED[encoder]
    if weights is None and not download:
        weights = _cached(open_clip, encoder)
    model = open_clip.create_model(model_name, pretrained=weights or published, device=device)
    tokenize = open_clip.get_tokenizer(model_name)
    model.eval().requires_grad_(False)

    @torch.inference_mode()
    def encode(texts: Sequence[str]) -> torch.Tensor:
        return model.encode_text(tokenize(list(texts)).to(device)).float().cpu()

    return encode


def fetch_text_encoder(encoder: str) -> str:
    """Let open_clip download an object encoder's text weights into its cache; return their path.

    Raises:
        ValueError: If the object encoder has no text encoder.
        ImportError: If open_clip is not installed.
        OSError: If the download fails.
    """
    open_clip = _open_clip(encoder)
    model_name, published, *_ = PUBLISHED[encoder]
    try:
        return open_clip.download_pretrained(open_clip.get_pretrained_cfg(model_name, published))
    except Exception as error:  # whatever a network, a proxy or a cache raises
        raise OSError(
            f"cannot fetch the weights of {model_name} ({published}) by open_clip:"
            f" {type(error).__name__}: {error}"
        ) from error


def _open_clip(encoder: str) -> ModuleType:
    """Import the package, for an object encoder that was trained with texts."""
    if encoder not in PUBLISHED:
        raise ValueError(
            f"{encoder!r} was not trained with words, expected one of {', '.join(PUBLISHED)}"
        )
    try:
        import open_clip
    except ImportError as error:
        raise ImportError(
            "text embeddings need the package open_clip: pip install open_clip_torch, or save"
            f" them with {Vocabulary.__name__}.save on another machine and read that"
        ) from error
    return open_clip


def _cached(open_clip: ModuleType, encoder: str) -> str:
    """Return a file, or a name in open_clip's own cache, that it loads without network.

    Raises:
        ValueError: If the weights are not in a cache.
    """
    from huggingface_hub import try_to_load_from_cache

    model_name, published, *_ = PUBLISHED[encoder]
    known = open_clip.get_pretrained_cfg(model_name, published) or {}
    repository, file = os.path.split(known.get("hf_hub", ""))
    if repository:  # open_clip asks the network for a newer one, if it is not passed a file
        for name in (file,) if file else HUB_FILES:
            found = try_to_load_from_cache(repository, name)
            if isinstance(found, str):
                return found
    elif (Path(URL_CACHE).expanduser() / Path(known.get("url", "")).name).is_file():
        return published  # a TorchScript archive, which open_clip loads by this name only
    raise ValueError(
        f"the weights of {model_name} ({published}) are not in the cache of open_clip, and this"
        f" call does not download them; run first: concerto-ros download {encoder}_words"
    )

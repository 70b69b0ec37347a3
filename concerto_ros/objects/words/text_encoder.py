# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Texts to vectors by CLIP, where the package ``open_clip`` is installed."""

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

    model, weights: of open_clip. sentences: what it is asked about a name. scanobjectnn: the names
    by which its protocol asks about the classes of ScanObjectNN.
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

#: The file of a repository that open_clip takes where its table names none, the better one first.
HUB_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")

#: Where open_clip keeps what it takes from elsewhere than huggingface.co.
URL_CACHE = "~/.cache/clip"


def load_text_encoder(
    encoder: str,
    weights: str | None = None,
    device: str | torch.device = "cpu",
    *,
    download: bool = True,
) -> Callable[[Sequence[str]], torch.Tensor]:
    """What turns T texts into (T, D) float32 vectors, not normalised, on the CPU.

    encoder: the object encoder to go with, a key of :data:`PUBLISHED`. weights: a file of the
    text encoder's weights; unless given, open_clip takes them from its cache or, if it may
    ``download``, from the network.

    Raises ValueError for another encoder, and for weights that are not there and may not be
    downloaded; ImportError where open_clip is not installed.
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
    """Have open_clip put the weights that go with an object encoder into its cache; their path.

    Raises as :func:`load_text_encoder` does, OSError where they cannot be had.
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
    """The package, for an object encoder that knows words."""
    if encoder not in PUBLISHED:
        raise ValueError(f"{encoder!r} knows no words, expected one of {', '.join(PUBLISHED)}")
    try:
        import open_clip
    except ImportError as error:
        raise ImportError(
            "words need the package open_clip (pip install open_clip_torch); without it, make a"
            f" file of vectors with {Vocabulary.__name__}.save elsewhere and read that"
        ) from error
    return open_clip


def _cached(open_clip: ModuleType, encoder: str) -> str:
    """What to ask open_clip for so that it needs no network: a file, or a name in its own cache.

    Raises ValueError where the weights are not in a cache.
    """
    from huggingface_hub import try_to_load_from_cache

    model_name, published, *_ = PUBLISHED[encoder]
    known = open_clip.get_pretrained_cfg(model_name, published) or {}
    repository, file = os.path.split(known.get("hf_hub", ""))
    if repository:  # open_clip asks the network for a newer one, unless it gets the file
        for name in (file,) if file else HUB_FILES:
            found = try_to_load_from_cache(repository, name)
            if isinstance(found, str):
                return found
    elif (Path(URL_CACHE).expanduser() / Path(known.get("url", "")).name).is_file():
        return published  # an archive of code, which open_clip reads by this name alone
    raise ValueError(
        f"the weights of {model_name} ({published}) are in no cache of open_clip, and nothing is"
        f" downloaded here; fetch them beforehand: concerto-ros download {encoder}_words"
    )

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Text encoders of CLIP, by the package ``open_clip``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

#: What the names of these text encoders begin with; ``MODEL/WEIGHTS`` of open_clip follows.
PREFIX = "open_clip:"

#: The files of a repository that open_clip tries where its table names no file, in this order.
HUB_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")

#: Where open_clip caches weights from other hosts than huggingface.co.
URL_CACHE = "~/.cache/clip"


class OpenClipEncoder:
    """The text tower of a CLIP model: T texts to (T, D) float32, not normalised, on the CPU.

    Args:
        model: Name of the architecture in open_clip, such as ``ViT-B-32-quickgelu``.
        published: Name of its weights there, such as ``openai``.
        weights: A file to read in their place; None for open_clip's cache or, with ``download``,
            the network.
        device: Where the text encoder runs.
        download: Whether weights may be downloaded.

    Attributes:
        name: ``open_clip:MODEL/WEIGHTS``.

    Raises:
        ValueError: If the weights are in no cache and may not be downloaded.
        ImportError: If open_clip is not installed.
    """

    def __init__(
        self,
        model: str,
        published: str,
        weights: str | None = None,
        device: str | torch.device = "cpu",
        *,
        download: bool = False,
    ):
        open_clip = import_open_clip()
        self.name = f"{PREFIX}{model}/{published}"
        self._device = device
        self._model = load_open_clip(model, published, weights, device, download=download)
        self._tokenize = open_clip.get_tokenizer(model)

    @cached_property
    def width(self) -> int:
        """D, the number of channels of a vector."""
        return self(["width"]).shape[1]

    @torch.inference_mode()
    def __call__(self, texts: Sequence[str]) -> torch.Tensor:
        """Encode T texts as (T, D)."""
        tokens = self._tokenize(list(texts)).to(self._device)
        return self._model.encode_text(tokens).float().cpu()


def load_open_clip(
    model: str,
    published: str,
    weights: str | None = None,
    device: str | torch.device = "cpu",
    *,
    download: bool = False,
) -> Any:
    """Load a whole CLIP model, frozen; arguments and errors as of :class:`OpenClipEncoder`."""
    open_clip = import_open_clip()
    if weights is None and not download:
        weights = _cached(open_clip, model, published)
    loaded = open_clip.create_model(model, pretrained=weights or published, device=device)
    return loaded.eval().requires_grad_(False)


def fetch_open_clip(model: str, published: str) -> str:
    """Let open_clip download weights into its cache; return their path.

    Raises:
        ImportError: If open_clip is not installed.
        OSError: If the download fails.
    """
    open_clip = import_open_clip()
    try:
        return open_clip.download_pretrained(open_clip.get_pretrained_cfg(model, published))
    except Exception as error:  # whatever a network, a proxy or a cache raises
        raise OSError(
            f"cannot fetch the weights of {model} ({published}) by open_clip:"
            f" {type(error).__name__}: {error}"
        ) from error


def import_open_clip() -> ModuleType:
    """Import the package.

    Raises:
        ImportError: If it is not installed; the text says how to do without.
    """
    try:
        import open_clip
    except ImportError as error:
        raise ImportError(
            "text embeddings need the package open_clip: pip install open_clip_torch, or save"
            " them with Vocabulary.save on another machine and read that"
        ) from error
    return open_clip


def _cached(open_clip: ModuleType, model: str, published: str) -> str:
    """Return a file, or a name in open_clip's own cache, that it loads without network.

    Raises:
        ValueError: If the weights are not in a cache.
    """
    from huggingface_hub import try_to_load_from_cache

    known = open_clip.get_pretrained_cfg(model, published) or {}
    repository, file = os.path.split(known.get("hf_hub", ""))
    if repository:  # open_clip asks the network for a newer one, if it is not passed a file
        for name in (file,) if file else HUB_FILES:
            found = try_to_load_from_cache(repository, name)
            if isinstance(found, str):
                return found
    elif (Path(URL_CACHE).expanduser() / Path(known.get("url", "")).name).is_file():
        return published  # a TorchScript archive, which open_clip loads by this name only
    raise ValueError(
        f"the weights of {model} ({published}) are not in the cache of open_clip, and this call"
        f" does not download them; run first: concerto-ros download {PREFIX}{model}/{published}"
    )

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Texts to vectors by CLIP, where the package ``open_clip`` is installed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from concerto_ros.objects.vocabulary import Vocabulary

#: The text encoder that each object encoder was trained with, as (model, weights) of open_clip.
PUBLISHED = {
    "recon": ("ViT-B-32-quickgelu", "openai"),
    "mixcon3d": ("ViT-bigG-14", "laion2b_s39b_b160k"),
}


def load_text_encoder(
    encoder: str, weights: str | None = None, device: str | torch.device = "cpu"
) -> Callable[[Sequence[str]], torch.Tensor]:
    """What turns T texts into (T, D) float32 vectors, not normalised, on the CPU.

    encoder: the object encoder to go with, a key of :data:`PUBLISHED`. weights: a file of the
    text encoder's weights; unless given, open_clip takes them from its cache or downloads them.

    Raises ValueError for another encoder, ImportError where open_clip is not installed.
    """
    if encoder not in PUBLISHED:
        raise ValueError(f"{encoder!r} knows no words, wanted one of {', '.join(PUBLISHED)}")
    model_name, published = PUBLISHED[encoder]
    try:
        import open_clip
    except ImportError as error:
        raise ImportError(
            "words need the package open_clip (pip install open_clip_torch); without it, make a"
            f" file of vectors with {Vocabulary.__name__}.save elsewhere and read that"
        ) from error
    model = open_clip.create_model(model_name, pretrained=weights or published, device=device)
    tokenize = open_clip.get_tokenizer(model_name)
    model.eval().requires_grad_(False)

    @torch.inference_mode()
    def encode(texts: Sequence[str]) -> torch.Tensor:
        return model.encode_text(tokenize(list(texts)).to(device)).float().cpu()

    return encode

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Labels by words: the word with the highest cosine, as a linear head would find it."""

from __future__ import annotations

import torch
from torch.nn import functional

from concerto_ros.heads.language import LanguageHead
from concerto_ros.heads.linear import LinearHead


def head_for_words(head: LanguageHead, vectors: torch.Tensor) -> LinearHead:
    """The linear head that gives each point the label of the word with the highest cosine.

    The length of a point's vector is the same for all words, so that it changes no label and is
    left out; the scores are no cosines therefore.

    Args:
        head: A language head.
        vectors: (K, D) of the words, in label order.
    """
    words = functional.normalize(head.understood(vectors).to(head.weight), dim=1)
    linear = LinearHead(head.in_channels, len(words), name=head.name)
    with torch.no_grad():
        linear.seg_head.weight.copy_(words @ head.weight)
        linear.seg_head.bias.copy_(words @ head.bias)
    linear.encoder, linear.preset = head.encoder, head.preset
    return linear.to(head.weight.device).eval().requires_grad_(False)

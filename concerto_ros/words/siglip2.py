# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Text encoders of SigLIP 2, by the package ``transformers``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from concerto_ros.files.error_text import one_line
from concerto_ros.words.transformers_library import in_batches, without_progress_bars

#: What the names of these text encoders begin with; a model of huggingface.co, or a folder,
#: follows: ``siglip2:google/siglip2-base-patch16-224``.
PREFIX = "siglip2:"

#: Pieces of a text, as in its training: shorter texts are filled up.
LENGTH = 64


class SigLip2:
    """The text tower of a SigLIP 2 model: T texts to (T, D) float32, not normalised, on the CPU.

    See Tschannen et al., SigLIP 2 (2025). It was trained with texts in lower case.

    Args:
        model: Name of the model on huggingface.co, or a folder with its files.
        download: Whether they may be downloaded.

    Attributes:
        name: ``siglip2:MODEL``.

    Raises:
        ValueError: If the model is neither in the cache nor a folder, and may not be downloaded.
        OSError: If the download fails.
        ImportError: If transformers is not installed.
    """

    def __init__(self, model: str, *, download: bool = False):
        self.name = f"{PREFIX}{model}"
        try:
            from transformers import AutoTokenizer, SiglipTextModel
        except ImportError as error:
            raise ImportError(
                f"the text encoder {self.name} needs transformers ({error});"
                " run: pip install 'concerto_ros[siglip2]'"
            ) from error
        stored: dict[str, Any] = {"local_files_only": not download, "use_safetensors": True}
        try:
            with without_progress_bars():
                self._tokenize = AutoTokenizer.from_pretrained(model, **stored)
                network = SiglipTextModel.from_pretrained(model, **stored)
        except (OSError, ValueError) as error:
            if download:
                raise OSError(f"cannot fetch {self.name}: {one_line(error)}") from error
            raise ValueError(
                f"the text encoder {self.name} cannot be read from a folder or the cache of"
                f" huggingface.co ({one_line(error)[:200]}), and this call downloads nothing;"
                f" run first: concerto-ros download {self.name}"
            ) from error
        self._network = network.float().eval().requires_grad_(False)
        self.width: int = network.config.projection_size

    def __call__(self, texts: Sequence[str]) -> torch.Tensor:
        """Encode T texts as (T, D)."""
        return in_batches(self._encode, [text.lower() for text in texts], self.width)

    def _encode(self, texts: list[str]) -> torch.Tensor:
        tokens = self._tokenize(
            texts, padding="max_length", max_length=LENGTH, truncation=True, return_tensors="pt"
        )
        return self._network(tokens["input_ids"]).pooler_output

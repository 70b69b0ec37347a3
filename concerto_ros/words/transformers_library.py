# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the text encoders share that run by the package ``transformers``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch

#: Texts that go through a network together.
BATCH = 64


@torch.inference_mode()
def in_batches(
    encode: Callable[[list[str]], torch.Tensor], texts: Sequence[str], width: int
) -> torch.Tensor:
    """Return (T, width) float32 of T texts that are encoded a batch at a time."""
    vectors = torch.zeros(len(texts), width)
    for start in range(0, len(texts), BATCH):
        rows = slice(start, start + BATCH)
        vectors[rows] = encode(list(texts[rows]))
    return vectors


@contextmanager
def without_progress_bars() -> Iterator[None]:
    """Keep the library from drawing bars while it loads weights that take a tenth of a second."""
    from transformers.utils import logging

    drawn = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if drawn:
            logging.enable_progress_bar()

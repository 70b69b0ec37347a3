# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A vector of CLIP for each patch of an image, without training, as MaskCLIP takes them.

Zhou, Loy and Dai, "Extract Free Dense Labels from CLIP", ECCV 2022: in the last block of the image
tower each patch takes its own value instead of a mixture of all, so that it keeps its place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from concerto_ros.words.open_clip_encoder import PREFIX, load_open_clip

#: The shorter edge of an image for the model, in sizes of the images it was trained on: patches
#: are small enough then to show furniture of a room.
ENLARGED = 2


class DenseClip:
    """Feature images of a CLIP model of the package ``open_clip``.

    Args:
        name: ``open_clip:MODEL/WEIGHTS``, the name of its text encoder.
        model: The model; None: loaded by the name, from a cache and never from the network.
        device: Where it runs.

    Raises:
        ValueError: The name is none of these, the weights are in no cache, or the image tower is
            no plain vision transformer.
        ImportError: open_clip is not installed.
    """

    def __init__(self, name: str, model: Any = None, device: str | torch.device = "cpu"):
        architecture, _, weights = name.removeprefix(PREFIX).partition("/")
        if not name.startswith(PREFIX) or not architecture or not weights:
            raise ValueError(
                f"2D model: got {name!r}, expected {PREFIX}MODEL/WEIGHTS, or a folder of feature"
                " images"
            )
        if model is None:
            model = load_open_clip(architecture, weights, device=device)
        visual = getattr(model, "visual", None)
        needed = ("conv1", "class_embedding", "positional_embedding", "ln_pre", "transformer")
        plain = all(hasattr(visual, part) for part in needed) and hasattr(visual, "proj")
        if not plain or getattr(visual, "attn_pool", None) is not None:
            raise ValueError(
                f"2D model: the image tower of {architecture} is no plain vision transformer,"
                " expected one such as ViT-B-16; of others save feature images as files"
            )
        self.name = name
        self._visual: Any = visual
        self._device = device

    @property
    def width(self) -> int:
        """D, that of the text encoder."""
        return self._visual.proj.shape[1]

    def identity(self, scene: str, frame: str) -> str:
        """The model's name: it has a feature image of every image."""
        return f"{self.name} {ENLARGED}"

    @torch.inference_mode()
    def of(self, scene: str, frame: str, image: Callable[[], np.ndarray]) -> torch.Tensor:
        """The feature image: a vector of each patch, (H', W', D) float32."""
        visual = self._visual
        patches = visual.conv1(self._input(image()))
        rows, columns = patches.shape[2:]
        tokens = patches.flatten(2).transpose(1, 2)
        first = visual.class_embedding.to(tokens).expand(1, 1, -1)
        tokens = torch.cat([first, tokens], dim=1) + self._positions(rows, columns).to(tokens)
        tokens = visual.ln_pre(tokens)
        *blocks, last = visual.transformer.resblocks
        for block in blocks:
            tokens = block(tokens)
        # Attention of each token to itself alone is its value.
        count = tokens.shape[1]
        alone = torch.full((count, count), -torch.inf, device=tokens.device).fill_diagonal_(0)
        tokens = visual.ln_post(last(tokens, attn_mask=alone))[0, 1:] @ visual.proj
        return tokens.float().cpu().reshape(rows, columns, -1)

    def _input(self, image: np.ndarray) -> torch.Tensor:
        """(1, 3, H, W) of an image, its edges whole numbers of patches."""
        visual = self._visual
        size, patch = (np.atleast_1d(edges) for edges in (visual.image_size, visual.patch_size))
        factor = ENLARGED * size.min() / min(image.shape[:2])
        edges = [
            max(1, round(edge * factor / patch[0])) * int(patch[0]) for edge in image.shape[:2]
        ]
        pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
        pixels = functional.interpolate(pixels, edges, mode="bilinear", antialias=True)
        mean, spread = (
            torch.tensor(values).view(1, 3, 1, 1)
            for values in (visual.image_mean, visual.image_std)
        )
        return ((pixels - mean) / spread).to(visual.conv1.weight)

    def _positions(self, rows: int, columns: int) -> torch.Tensor:
        """(1 + rows * columns, width) embeddings of the places, between those of the model."""
        learned = self._visual.positional_embedding
        edge = round((len(learned) - 1) ** 0.5)
        grid = learned[1:].float().T.reshape(1, -1, edge, edge)
        resized = functional.interpolate(grid, (rows, columns), mode="bicubic")
        return torch.cat([learned[:1].float(), resized[0].flatten(1).T])

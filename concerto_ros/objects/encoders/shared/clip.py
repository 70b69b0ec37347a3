# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""CLIP's two towers (Radford et al., ICML 2021): teachers of object encoders, encoders of words.

Loads the state dict of OpenAI's ViT models, whose names it keeps, and takes token numbers;
tokenizing needs the vocabulary (open_clip).
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import cast

import torch
from torch import nn

from concerto_ros.objects.encoders.shared.layers import attend, split_heads
from concerto_ros.objects.encoders.shared.weights import State, count_blocks, load_weights, part
from concerto_ros.ptv3.checkpoint import CheckpointError

#: Width of a head in both towers of all published models.
HEAD_WIDTH = 64

#: Entries that are numbers about the model, not weights of it.
NUMBERS = ("input_resolution", "context_length", "vocab_size")


class Clip(nn.Module):
    """Both towers; features are not normalised.

    Args:
        dim: Channels of a feature.
        width: Channels of the text tower.
        blocks: Blocks of the text tower.
        vocabulary: Number of tokens that the text tower knows.
        context: Tokens of a text.
        visual: The image tower.
    """

    def __init__(
        self,
        *,
        dim: int,
        width: int,
        blocks: int,
        vocabulary: int,
        context: int,
        visual: ImageTower,
    ):
        super().__init__()
        self.visual = visual
        self.token_embedding = nn.Embedding(vocabulary, width)
        self.positional_embedding = nn.Parameter(torch.empty(context, width))
        self.transformer = ClipTransformer(width, blocks)
        self.ln_final = nn.LayerNorm(width)
        self.text_projection = nn.Parameter(torch.empty(width, dim))
        self.logit_scale = nn.Parameter(torch.empty(()))

    def encode_image(self, images: torch.Tensor) -> torch.Tensor:
        """Encode normalised images (B, 3, H, W) as (B, D)."""
        return self.visual(images)

    def encode_text(self, tokens: torch.Tensor) -> torch.Tensor:
        """Encode tokens (B, context) int64 as (B, D).

        The output is read at the end of text, which has the greatest token number.
        """
        length = tokens.shape[1]
        states = self.token_embedding(tokens) + self.positional_embedding[:length]
        before = torch.ones(length, length, dtype=torch.bool, device=tokens.device).tril()
        states = self.ln_final(self.transformer(states, before))
        end = tokens.argmax(1)
        return states[torch.arange(len(states), device=end.device), end] @ self.text_projection


class ImageTower(nn.Module):
    """A ViT whose output is read at its class token."""

    def __init__(self, *, dim: int, width: int, blocks: int, patch: int, patches: int):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, patch, stride=patch, bias=False)
        self.class_embedding = nn.Parameter(torch.empty(width))
        self.positional_embedding = nn.Parameter(torch.empty(patches + 1, width))
        self.ln_pre = nn.LayerNorm(width)
        self.transformer = ClipTransformer(width, blocks)
        self.ln_post = nn.LayerNorm(width)
        self.proj = nn.Parameter(torch.empty(width, dim))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Encode normalised images (B, 3, H, W) as (B, D)."""
        states = self.transformer(self._tokens(images))
        return self.ln_post(states[:, 0]) @ self.proj

    def patch_features(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Encode each patch of normalised images (B, 3, H, W).

        Returns:
            (B, D, H / patch, W / patch) features, not normalised, and (B, H / patch, W / patch)
            how much the class token attends to each patch in the last block, the mean over heads.
        """
        height, width = (size // self.conv1.stride[0] for size in images.shape[-2:])
        *before, last = cast("list[ClipBlock]", list(self.transformer.resblocks))
        states = self._tokens(images)
        for block in before:
            states = block(states, None)
        saliency = last.attn.class_attention(last.ln_1(states))
        features = self.ln_post(last(states, None)[:, 1:]) @ self.proj
        return (
            features.transpose(1, 2).unflatten(2, (height, width)),
            saliency.unflatten(1, (height, width)),
        )

    def _tokens(self, images: torch.Tensor) -> torch.Tensor:
        patches = self.conv1(images).flatten(2).transpose(1, 2)
        first = self.class_embedding.expand(len(patches), 1, -1)
        return self.ln_pre(torch.cat([first, patches], 1) + self.positional_embedding)


class ClipTransformer(nn.Module):
    """The transformer blocks of a tower."""

    def __init__(self, width: int, blocks: int):
        super().__init__()
        self.resblocks = nn.ModuleList(ClipBlock(width) for _ in range(blocks))

    def forward(self, states: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Update states (B, T, C); ``mask`` (T, T) bool is True where a row may see a column."""
        for block in self.resblocks:
            states = block(states, mask)
        return states


class ClipBlock(nn.Module):
    """Pre-norm block with the approximate GELU x sigmoid(1.702 x)."""

    def __init__(self, width: int):
        super().__init__()
        self.attn = ClipAttention(width)
        self.ln_1 = nn.LayerNorm(width)
        self.mlp = nn.ModuleDict(
            {"c_fc": nn.Linear(width, 4 * width), "c_proj": nn.Linear(4 * width, width)}
        )
        self.ln_2 = nn.LayerNorm(width)

    def forward(self, states: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """Update states (B, T, C); ``mask`` as in :meth:`ClipTransformer.forward`."""
        states = states + self.attn(self.ln_1(states), mask)
        hidden = self.mlp["c_fc"](self.ln_2(states))
        return states + self.mlp["c_proj"](hidden * torch.sigmoid(1.702 * hidden))


class ClipAttention(nn.Module):
    """Self-attention with the parameter names of ``torch.nn.MultiheadAttention``."""

    def __init__(self, width: int):
        super().__init__()
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.empty(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, states: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """Attend among states (B, T, C); ``mask`` as in :meth:`ClipTransformer.forward`."""
        query, key, value = self._query_key_value(states)
        return self.out_proj(attend(query, key, value, mask))

    def class_attention(self, states: torch.Tensor) -> torch.Tensor:
        """Return how much the first of T states (B, T, C) attends to the others: (B, T - 1)."""
        query, key, _ = self._query_key_value(states)
        scores = query[:, :, :1] @ key.transpose(2, 3) / math.sqrt(HEAD_WIDTH)
        return scores.softmax(-1)[:, :, 0, 1:].mean(1)

    def _query_key_value(self, states: torch.Tensor) -> list[torch.Tensor]:
        heads = states.shape[-1] // HEAD_WIDTH
        joined = nn.functional.linear(states, self.in_proj_weight, self.in_proj_bias)
        return [split_heads(x, heads) for x in joined.chunk(3, -1)]


def image_tower(state: State, path: str | os.PathLike) -> ImageTower:
    """Build the image tower of a state dict of OpenAI's, frozen, in float32.

    Names that do not begin with ``visual.`` are not read.

    Raises:
        CheckpointError: If names or shapes do not match.
    """
    visual = part(state, "visual.")
    model = _image_tower(visual, path)
    load_weights(model, visual, Path(path))
    return model.eval().requires_grad_(False)


def from_state(state: State, path: str | os.PathLike) -> Clip:
    """Build the model of a state dict of OpenAI's, in float32 whatever it was stored in.

    Raises:
        CheckpointError: If names or shapes do not match.
    """
    vocabulary, width = state["token_embedding.weight"].shape
    model = Clip(
        dim=state["text_projection"].shape[1],
        width=width,
        blocks=count_blocks(state, "transformer.resblocks."),
        vocabulary=vocabulary,
        context=state["positional_embedding"].shape[0],
        visual=_image_tower(part(state, "visual."), path),
    )
    load_weights(model, state, Path(path), ignore=NUMBERS)
    return model.eval().requires_grad_(False)


def _image_tower(visual: State, path: str | os.PathLike) -> ImageTower:
    """Build an image tower of the sizes of a state dict, without its weights."""
    missing = sorted({"positional_embedding", "proj", "conv1.weight"} - visual.keys())
    if missing:
        raise CheckpointError(
            f"{path} has no visual.{missing[0]}, expected a ViT of OpenAI's CLIP or of the same"
            " names"
        )
    patches, width = visual["positional_embedding"].shape
    return ImageTower(
        dim=visual["proj"].shape[1],
        width=width,
        blocks=count_blocks(visual, "transformer.resblocks."),
        patch=visual["conv1.weight"].shape[-1],
        patches=patches - 1,
    )

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pre-training of ReCon: masked patches are reconstructed; image and text encoders teach."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from concerto_ros.learning.objects.training.losses import chamfer_squared
from concerto_ros.objects.encoders.recon.transformer import ReConShape, ReConTrunk
from concerto_ros.objects.encoders.shared.layers import Block, PositionCode
from concerto_ros.objects.encoders.shared.weights import State, count_blocks, load_weights, part

#: Share of the patches that is masked.
MASK_RATIO = 0.6

#: The teachers, which pre-training files leave out.
TEACHERS = ("img_encoder.", "text_encoder.")


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """The result of one pass over V visible and K masked patches of B clouds, M points each.

    Attributes:
        world: (B, 3, C) normalised global tokens.
        visible: (B, V, C) normalised tokens of the visible patches.
        rebuilt: (B K, M, 3) the masked groups as reconstructed, relative to their centres.
        true: (B K, M, 3) the masked groups as they are.
        image: (B, D) to compare with the image teacher's features.
        text: (B, D) to compare with the text teacher's features.
    """

    world: torch.Tensor
    visible: torch.Tensor
    rebuilt: torch.Tensor
    true: torch.Tensor
    image: torch.Tensor
    text: torch.Tensor

    def losses(self, image: torch.Tensor, text: torch.Tensor) -> dict[str, torch.Tensor]:
        """Compute the three losses, to be added.

        Args:
            image: (B, D) features of the image teacher.
            text: (B, D) features of the text teacher.
        """
        distance = nn.functional.smooth_l1_loss
        return {
            "reconstruction": chamfer_squared(self.rebuilt, self.true),
            "image": distance(self.image, image),
            "text": distance(self.text, text),
        }


class ReConPretraining(nn.Module):
    """The transformer with its decoder and projections; names as in the official files.

    Args:
        shape: Sizes of the transformer.
        decoder_blocks: Blocks of the decoder.
        image: Channels of the image teacher.
        text: Channels of the text teacher.
    """

    def __init__(self, shape: ReConShape, *, decoder_blocks: int, image: int, text: int):
        super().__init__()
        width = shape.width
        self.MAE_encoder = ReConTrunk(shape)
        self.mask_token = nn.Parameter(0.02 * torch.randn(1, 1, width))
        self.decoder_pos_embed = PositionCode(128, width)
        blocks = [Block(width, shape.heads) for _ in range(decoder_blocks)]
        self.MAE_decoder = nn.ModuleDict(
            {"blocks": nn.ModuleList(blocks), "norm": nn.LayerNorm(width)}
        )
        self.increase_dim = nn.Sequential(nn.Conv1d(width, 3 * shape.group_size, 1))
        self.img_proj = nn.Linear(width, image)
        self.text_proj = nn.Linear(width, text)

    def forward(self, points: torch.Tensor, mask: torch.Tensor) -> Reconstruction:
        """Encode the visible patches and reconstruct the masked ones.

        Args:
            points: (B, N, 3).
            mask: (B, G) bool, True for masked, equally many in every row.
        """
        trunk = self.MAE_encoder
        patches = trunk.group(points)
        tokens = trunk.encoder(patches.relative)
        seen, hidden = _select(patches.centres, ~mask), _select(patches.centres, mask)
        world, visible = trunk.encode(_select(tokens, ~mask), seen)
        return Reconstruction(
            world,
            visible,
            self.rebuild(visible, seen, hidden).flatten(0, 1),
            _select(patches.relative.flatten(2), mask).reshape(-1, *patches.relative.shape[2:]),
            self.img_proj(world[:, 1]),
            self.text_proj(world[:, 2]),
        )

    def rebuild(
        self, visible: torch.Tensor, seen: torch.Tensor, hidden: torch.Tensor
    ) -> torch.Tensor:
        """Reconstruct points (B, K, M, 3) of the masked patches from the visible ones.

        Args:
            visible: (B, V, C) tokens.
            seen: (B, V, 3) their centres.
            hidden: (B, K, 3) centres of the masked patches.
        """
        batch, count, _ = hidden.shape
        code = self.decoder_pos_embed(torch.cat([seen, hidden], 1))
        tokens = torch.cat([visible, self.mask_token.expand(batch, count, -1)], 1)
        for block in self.MAE_decoder["blocks"].children():
            tokens = block(tokens + code)
        guessed = self.MAE_decoder["norm"](tokens[:, -count:])
        return self.increase_dim(guessed.transpose(1, 2)).transpose(1, 2).unflatten(2, (-1, 3))


def random_mask(batch: int, groups: int, generator: torch.Generator | None = None) -> torch.Tensor:
    """Draw a mask (batch, groups) bool, True for int(0.6 groups) of each row."""
    order = torch.rand(batch, groups, generator=generator).argsort(1)
    return order < int(MASK_RATIO * groups)


def from_state(
    state: State, path: str | os.PathLike, *, groups: int, heads: int | None = None
) -> ReConPretraining:
    """Build the model of a pre-training file, without the teachers.

    Raises:
        CheckpointError: If names or shapes do not match.
    """
    group_size = state["increase_dim.0.weight"].shape[0] // 3
    shape = ReConShape.of_state(
        part(state, "MAE_encoder."), groups=groups, group_size=group_size, heads=heads
    )
    image, text = (state[f"{name}_proj.weight"].shape[0] for name in ("img", "text"))
    model = ReConPretraining(
        shape, decoder_blocks=count_blocks(state, "MAE_decoder.blocks."), image=image, text=text
    )
    load_weights(model, state, Path(path), ignore=TEACHERS)
    return model


def _select(values: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
    """Select the rows (B, K, C) of (B, G, C) where ``keep`` (B, G) is True, K in each row."""
    return values[keep].view(len(values), -1, values.shape[-1])

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The network of ReCon's pre-training, which reconstructs masked patches beside its contrast."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from concerto_ros.learning.objects.training.losses import chamfer_squared
from concerto_ros.objects.encoders.recon.encoder import SELF_CONTRAST, ReCon, projected_width
from concerto_ros.objects.encoders.recon.transformer import Patches, ReConShape, ReConTrunk
from concerto_ros.objects.encoders.shared.layers import Block, PositionCode
from concerto_ros.objects.encoders.shared.weights import State, count_blocks, load_weights, part

#: The teachers, which pre-training files leave out.
TEACHERS = ("img_encoder.", "text_encoder.")

#: Width of what the contrast of the class token with itself compares, and its temperature.
SELF_WIDTH, SELF_TEMPERATURE = 128, 0.1


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """The result of one pass over V visible and K masked patches of B clouds, M points each.

    Attributes:
        world: (B, 3, C) normalised global tokens.
        visible: (B, V, C) normalised tokens of the visible patches.
        rebuilt: (B K, M, 3) the masked groups as reconstructed, relative to their centres.
        true: (B K, M, 3) the masked groups as they are.
        image: (B, D) to compare with the image teacher's features; None without that teacher.
        text: (B, E) to compare with the text teacher's features; None without that teacher.
        own: (B, 128) to compare among themselves; None without ``self_contrast``.
    """

    world: torch.Tensor
    visible: torch.Tensor
    rebuilt: torch.Tensor
    true: torch.Tensor
    image: torch.Tensor | None
    text: torch.Tensor | None
    own: torch.Tensor | None = None

    def losses(
        self,
        image: torch.Tensor | None,
        text: torch.Tensor | None,
        same: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """Compute the losses, to be added; those of absent teachers are left out.

        Args:
            image: (B, D) features of the image teacher.
            text: (B, E) features of the text teacher.
            same: (B, B) bool, whether two objects have the same caption.
        """
        losses = {"reconstruction": chamfer_squared(self.rebuilt, self.true)}
        pairs = {"image": (self.image, image), "text": (self.text, text)}
        for name, (own, teacher) in pairs.items():
            if own is not None and teacher is not None:
                losses[name] = nn.functional.smooth_l1_loss(own, teacher)
        if self.own is not None and same is not None:
            losses["self"] = self_contrast_loss(self.own, same)
        return losses


class ReConPretraining(nn.Module):
    """The transformer with its decoder and projections; names as in the official files.

    Args:
        shape: Sizes of the transformer.
        decoder_blocks: Blocks of the decoder.
        image: Channels of the image teacher; None without one.
        text: Channels of the text teacher; None without one.
        self_contrast: Whether class tokens are contrasted with each other (off in all published
            configurations).
        stop_gradient: Whether, as published, the contrast does not train the patches: the global
            tokens attend to them as they are.
    """

    def __init__(
        self,
        shape: ReConShape,
        *,
        decoder_blocks: int,
        image: int | None,
        text: int | None,
        self_contrast: bool = False,
        stop_gradient: bool = True,
    ):
        super().__init__()
        self.stop_gradient = stop_gradient
        width = shape.width
        self.MAE_encoder = ReConTrunk(shape)
        self.mask_token = nn.Parameter(0.02 * torch.randn(1, 1, width))
        self.decoder_pos_embed = PositionCode(128, width)
        blocks = [Block(width, shape.heads) for _ in range(decoder_blocks)]
        self.MAE_decoder = nn.ModuleDict(
            {"blocks": nn.ModuleList(blocks), "norm": nn.LayerNorm(width)}
        )
        self.increase_dim = nn.Sequential(nn.Conv1d(width, 3 * shape.group_size, 1))
        self.img_proj = None if image is None else nn.Linear(width, image)
        self.text_proj = None if text is None else nn.Linear(width, text)
        self.cls_proj = _self_projection(width) if self_contrast else None

    def forward(self, points: torch.Tensor, mask: torch.Tensor) -> Reconstruction:
        """Encode the visible patches and reconstruct the masked ones.

        Args:
            points: (B, N, 3).
            mask: (B, G) bool, True for masked, equally many in every row.
        """
        return self.reconstruct(self.MAE_encoder.group(points), mask)

    def reconstruct(self, patches: Patches, mask: torch.Tensor) -> Reconstruction:
        """Encode the visible patches and reconstruct the masked ones; ``mask`` as for a call."""
        trunk = self.MAE_encoder
        tokens = trunk.encoder(patches.relative)
        seen, hidden = _select(patches.centres, ~mask), _select(patches.centres, mask)
        world, visible = trunk.encode(
            _select(tokens, ~mask), seen, stop_gradient=self.stop_gradient
        )
        return Reconstruction(
            world,
            visible,
            self.rebuild(visible, seen, hidden).flatten(0, 1),
            _select(patches.relative.flatten(2), mask).reshape(-1, *patches.relative.shape[2:]),
            None if self.img_proj is None else self.img_proj(world[:, 1]),
            None if self.text_proj is None else self.text_proj(world[:, 2]),
            None if self.cls_proj is None else self.cls_proj(world[:, 0]),
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


def encoder_in(model: nn.Module, points: int) -> ReCon:
    """Return the encoder that a :class:`ReConPretraining` trains, without a head.

    It shares its weights with the model.

    Args:
        model: The model.
        points: Points of an object.
    """
    assert isinstance(model, ReConPretraining)
    trunk = model.MAE_encoder
    with torch.device("meta"):  # its own weights are never made
        encoder = ReCon(trunk.shape, points)
    encoder.trunk, encoder.img_proj, encoder.text_proj = trunk, model.img_proj, model.text_proj
    return encoder


def new_pretraining(
    shape: ReConShape,
    *,
    decoder_blocks: int,
    image: int | None,
    text: int | None,
    self_contrast: bool = False,
    seed: int = 0,
) -> ReConPretraining:
    """Build an untrained model with the published distributions of weights.

    Normal, cut off at two units, with deviation 0.02 in the encoder, Xavier's in the decoder, and
    around 0.02 with deviation 0.01 in the projections.

    Args:
        shape: Sizes of the transformer.
        decoder_blocks: Blocks of the decoder.
        image: Channels of the image teacher; None without one.
        text: Channels of the text teacher; None without one.
        self_contrast: Whether class tokens are contrasted with each other.
        seed: Of the weights.
    """
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        model = ReConPretraining(
            shape,
            decoder_blocks=decoder_blocks,
            image=image,
            text=text,
            self_contrast=self_contrast,
        )
        trunk = model.MAE_encoder
        _start(trunk, lambda weight: nn.init.trunc_normal_(weight, std=0.02))
        _start(model.MAE_decoder, nn.init.xavier_uniform_)
        for token in (*(v for v in trunk.parameters(recurse=False)), model.mask_token):
            nn.init.trunc_normal_(token, std=0.02)
        for projection in (model.img_proj, model.text_proj, model.cls_proj):
            if projection is not None:
                _start(projection, lambda weight: nn.init.normal_(weight, 0.02, 0.01))
    return model


def self_contrast_loss(vectors: torch.Tensor, same: torch.Tensor) -> torch.Tensor:
    """Compute how badly (B, D) vectors of objects with the same caption agree: a scalar.

    For each object the cross entropy of the mean cosine to all with its caption, itself included,
    against the cosines to the others.

    Args:
        vectors: (B, D).
        same: (B, B) bool, whether two objects have the same caption.
    """
    precise = torch.promote_types(vectors.dtype, torch.float32)
    unit = nn.functional.normalize(vectors.to(precise), dim=1)
    with torch.autocast(unit.device.type, enabled=False):  # in bfloat16 0.004 apart near 1
        cosines = unit @ unit.T
    own = (cosines * same).sum(1, keepdim=True) / same.sum(1, keepdim=True)
    others = cosines.masked_fill(same, -torch.inf)
    logits = torch.cat([own, others], 1) / SELF_TEMPERATURE
    return (logits.logsumexp(1) - logits[:, 0]).mean()


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
    model = ReConPretraining(
        shape,
        decoder_blocks=count_blocks(state, "MAE_decoder.blocks."),
        image=projected_width(state, "img_proj"),
        text=projected_width(state, "text_proj"),
        self_contrast=any(name.startswith(SELF_CONTRAST) for name in state),
    )
    load_weights(model, state, Path(path), ignore=TEACHERS)
    return model


def _self_projection(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(width, SELF_WIDTH),
        nn.BatchNorm1d(SELF_WIDTH),
        nn.ReLU(),
        nn.Linear(SELF_WIDTH, SELF_WIDTH),
        nn.BatchNorm1d(SELF_WIDTH),
    )


def _start(module: nn.Module, fill: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """Fill the matrices of a module's layers; their biases become zero."""
    for layer in module.modules():
        if isinstance(layer, (nn.Linear, nn.Conv1d)):
            fill(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def _select(values: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
    """Select the rows (B, K, C) of (B, G, C) where ``keep`` (B, G) is True, K in each row."""
    return values[keep].view(len(values), -1, values.shape[-1])

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The contrast of MixCon3D (Gao et al., CVPR 2024): its heads, temperatures and losses.

Clouds, pictures and texts of one shape shall be alike, those of different shapes not; so shall the
joint representation, made of cloud and pictures together, and the text.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from concerto_ros.objects.encoders.mixcon3d.encoder import BALLS, HEAD_WIDTH, MixCon3D
from concerto_ros.objects.encoders.mixcon3d.network import PointPatchTransformer

#: What all temperatures start at: they multiply cosines and are stored as logarithms.
START_SCALE = 14.28

#: Pairs of the loss, each with a temperature of its own, and their published names.
SCALES = {
    "point_text": "text",
    "point_image": "image",
    "image_text": "img_text",
    "fused_text": "pc_img_to_text",
}

#: Backbones of the paper that need a library for sparse convolutions.
SPARSE_BACKBONES = ("SparseConv", "MinkResNet34", "MinkowskiFCNN")


@dataclass(frozen=True, eq=False)
class Triplets:
    """The vectors of B shapes, all (B, D) and not normalised.

    Attributes:
        points: Of the clouds.
        texts: Of the texts, projected.
        images: Of the pictures, projected and averaged over the views.
        fused: The joint representations of clouds and pictures.
    """

    points: torch.Tensor
    texts: torch.Tensor
    images: torch.Tensor
    fused: torch.Tensor

    @staticmethod
    def join(parts: list[Triplets]) -> Triplets:
        """Join the shapes of several batches."""
        return Triplets(*map(torch.cat, zip(*(one._all() for one in parts), strict=True)))

    def _all(self) -> tuple[torch.Tensor, ...]:
        return self.points, self.texts, self.images, self.fused


@dataclass(frozen=True, eq=False)
class Contrast:
    """The losses of a batch, scalars.

    Attributes:
        losses: By the names of :data:`SCALES`.
        point_text_accuracy: Share of the clouds whose own text is the most similar one.
        point_image_accuracy: Share of the clouds whose own pictures are the most similar ones.
    """

    losses: dict[str, torch.Tensor]
    point_text_accuracy: torch.Tensor
    point_image_accuracy: torch.Tensor

    @property
    def total(self) -> torch.Tensor:
        """The sum, which is trained."""
        return torch.stack(list(self.losses.values())).sum()


class ContrastModel(nn.Module):
    """The encoder with its projections, and the temperatures of the losses.

    As published, pictures go through the projection of texts, so that of pictures stays as it is;
    the projection of the joint representation, and its temperature, are random and stay as well,
    but gradients flow through them.

    Args:
        encoder: Projections that it lacks are added.
        fusion: Whether the joint representation is part of the loss; without it, the loss is that
            of the paper's ablation.
    """

    def __init__(self, encoder: MixCon3D, *, fusion: bool = True):
        super().__init__()
        if encoder.text_proj is None:
            encoder.add_projections()
        self.encoder = encoder
        self.fusion = fusion
        self.image_proj = nn.Linear(encoder.feature_channels, encoder.feature_channels)
        start = math.log(START_SCALE)
        self.scales = nn.ParameterDict(
            {name: nn.Parameter(torch.tensor(start)) for name in SCALES}
        )

    def trained(self) -> dict[str, nn.Parameter]:
        """Return the parameters that learn, by name."""
        fixed = ("image_proj.", "encoder.pc_img_proj.", "scales.fused_text")
        return {n: p for n, p in self.named_parameters() if not n.startswith(fixed)}

    def forward(self, clouds: torch.Tensor, texts: torch.Tensor, images: torch.Tensor) -> Triplets:
        """Embed B shapes.

        Args:
            clouds: (B, N, 6).
            texts: (B, D) of CLIP's text encoder.
            images: (B, V, D) of CLIP's image encoder.
        """
        points = self.encoder.embed(clouds)
        views = self.encoder.project_views(images)
        return Triplets(
            points, self.encoder.project_words(texts), views, self.encoder.fuse(points, views)
        )

    def contrast(self, vectors: Triplets) -> Contrast:
        """Compute the losses of a batch, in float32 outside autocast."""
        pairs = {
            "point_text": (vectors.points, vectors.texts),
            "point_image": (vectors.points, vectors.images),
            "image_text": (vectors.images, vectors.texts),
            "fused_text": (vectors.fused, vectors.texts),
        }
        if not self.fusion:
            del pairs["fused_text"]
        losses, accuracies = {}, {}
        for name, (ours, theirs) in pairs.items():
            losses[name], accuracies[name] = _info_nce(ours, theirs, self.scales[name])
        return Contrast(losses, accuracies["point_text"], accuracies["point_image"])


def check_backbone(backbone: str) -> None:
    """Refuse backbones of the paper that are not implemented, by name.

    Raises:
        ValueError: If it is not PointBERT.
    """
    if backbone in SPARSE_BACKBONES:
        raise ValueError(
            f"backbone {backbone} is not implemented: it needs a library for sparse convolutions;"
            " expected PointBERT"
        )
    if backbone != "PointBERT":
        raise ValueError(f"backbone is {backbone!r}, expected PointBERT")


def new_encoder(size: int, channels: int, points: int) -> MixCon3D:
    """Build an untrained encoder of a published size; weights come from PyTorch's generator.

    Args:
        size: 1 to 6, the ``model.scaling`` of OpenShape; 3 is the paper's.
        channels: Width of the vectors of texts and pictures.
        points: Points of a cloud.

    Raises:
        ValueError: If the size is unknown.
    """
    if not 1 <= size <= len(BALLS):
        raise ValueError(f"size is {size}, expected 1 to {len(BALLS)}")
    sizes, balls = list(BALLS.items())[size - 1]
    trunk = PointPatchTransformer(sizes, balls, sizes.width // HEAD_WIDTH, HEAD_WIDTH)
    return MixCon3D(trunk, sizes.width, channels, points)


def _info_nce(
    first: torch.Tensor, second: torch.Tensor, scale: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the symmetric cross entropy of cosines, and the share of right first choices."""
    precise = torch.promote_types(first.dtype, torch.float32)
    first, second = (nn.functional.normalize(one.to(precise), dim=1) for one in (first, second))
    cosines = first @ second.T
    logits = scale.exp() * cosines
    own = torch.arange(len(first), device=first.device)
    entropy = nn.functional.cross_entropy
    loss = (entropy(logits, own) + entropy(logits.T, own)) / 2
    return loss, (logits.argmax(1) == own).float().mean()

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Student and teacher: an encoder with its heads, and what it makes of views."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import nn

from concerto_ros.learning.pretraining.cluster_head import ClusterHead
from concerto_ros.learning.pretraining.objective import CLUSTERED, IMAGED, ViewFeatures
from concerto_ros.ptv3.encoder import Encoder
from concerto_ros.ptv3.hierarchy import Hierarchy, build_hierarchy
from concerto_ros.ptv3.kernels.backends import choose_backend


@dataclass(frozen=True, eq=False)
class Views:
    """Views of a batch, as the encoder takes them.

    Attributes:
        feat: (V, in_channels) xyz, colour 0..1, normal, all augmented.
        grid: (V, 3) int64 voxels, at least 0, each once in a view.
        coord: (V, 3) augmented coordinates, metres.
        origin: (V, 3) metres, before augmentation.
        offset: (B,) int64 cumulative sizes of the views.
        mask: (V,) bool, voxels that the student does not see; None: it sees all.
    """

    feat: torch.Tensor
    grid: torch.Tensor
    coord: torch.Tensor
    origin: torch.Tensor
    offset: torch.Tensor
    mask: torch.Tensor | None = None

    def to(self, device: torch.device | str) -> Views:
        """The same on a device."""
        values = {
            name: value.to(device) for name, value in vars(self).items() if value is not None
        }
        return replace(self, **values)


class Learner(nn.Module):
    """An encoder, its two heads and the token that stands for hidden voxels.

    Args:
        backbone: The encoder; it is trained in place.
        hidden: Width of the hidden layer of the heads.
        width: Width of their vectors.
        prototypes: Number of prototypes.
    """

    def __init__(self, backbone: Encoder, hidden: int, width: int, prototypes: int):
        super().__init__()
        self.backbone = backbone
        channels = joined_width(backbone.channels, CLUSTERED)
        self.mask_token = nn.Parameter(torch.zeros(1, backbone.channels[0]))
        self.mask_head = ClusterHead(channels, hidden, width, prototypes)
        self.unmask_head = ClusterHead(channels, hidden, width, prototypes)

    def forward(self, views: Views, shuffle: torch.Generator | None = None) -> ViewFeatures:
        """Compute the features of views.

        Args:
            views: The views; hidden voxels get the mask token instead of the stem's features.
            shuffle: Draws the order of the curves of each level; None: it is not shuffled.
        """
        if shuffle is None:
            hierarchy = self.backbone.hierarchy(views.grid, views.coord, views.offset)
        else:
            hierarchy = shuffled_hierarchy(self.backbone, views, shuffle)
        feat = self.backbone.embed(views.feat, hierarchy)
        if views.mask is not None:
            feat = torch.where(views.mask[:, None], self.mask_token.to(feat), feat)
        pyramid = self.backbone.forward_embedded(feat, hierarchy)
        return ViewFeatures(pyramid.feats, pyramid.clusters, views.origin, views.offset)


class PatchProjection(nn.Linear):
    """From the joined features of points to the vectors of an image model.

    Args:
        channels: Widths of the encoder's levels, finest first.
        width: Width of the image model's vectors.
    """

    def __init__(self, channels: tuple[int, ...], width: int):
        super().__init__(joined_width(channels, IMAGED), width)


def joined_width(channels: tuple[int, ...], joined: int) -> int:
    """Width of the coarsest level joined with so many finer ones."""
    return sum(channels[-1 - min(joined, len(channels) - 1) :])


def shuffled_hierarchy(encoder: Encoder, views: Views, shuffle: torch.Generator) -> Hierarchy:
    """The hierarchy of views with the curves of each level in a random order, as in training.

    Args:
        encoder: Whose blocks take curves in the order of its config.
        views: The views.
        shuffle: Draws the orders.
    """
    curves = encoder.config.order
    # With a block for each curve every level has all of them.
    depths = (len(curves),) * len(encoder.config.enc_depths)
    backend = choose_backend(encoder.backend, views.grid.device)
    config = replace(encoder.config, enc_depths=depths)
    hierarchy = build_hierarchy(views.grid, views.coord, views.offset, config, backend)
    levels = []
    for level, size in zip(hierarchy.levels, encoder.config.enc_patch_size, strict=True):
        drawn = torch.randperm(len(curves), generator=shuffle).tolist()
        patches = {
            (curve, size): level.patches[curves[other], size]
            for curve, other in zip(curves, drawn, strict=True)
            if level.patches  # a level without attention has none
        }
        levels.append(replace(level, patches=patches))
    return Hierarchy(tuple(levels))

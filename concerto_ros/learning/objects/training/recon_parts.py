# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Part segmentation with ReCon (ShapeNetPart): the part of its object that a point is on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from torch import nn

from concerto_ros.objects.encoders.recon.transformer import ReConShape, ReConTrunk
from concerto_ros.objects.encoders.shared.sampling import interpolate_three
from concerto_ros.objects.encoders.shared.weights import State, load_weights, read_weights, under
from concerto_ros.ptv3.checkpoint import CheckpointError

#: Categories of ShapeNetPart, and channels of the code of one.
CATEGORIES = 16
CATEGORY_CODE = 64

#: Modules beside the transformer.
EXTRAS = ("label_conv.", "propagation_0.", "convs", "bns")

#: Groups of the official model and points of a group.
GROUPS = 128
GROUP_SIZE = 32


def load_recon_parts(path: str | os.PathLike, **options: Any) -> ReConParts:
    """Load the model of a published file, in evaluation mode.

    Args:
        path: The file.
        options: Keywords of :func:`from_state`.

    Raises:
        CheckpointError: If the file cannot be read or is of another model.
    """
    return from_state(read_weights(path), Path(path), **options).eval().requires_grad_(False)


def from_state(
    state: State,
    path: Path,
    *,
    heads: int | None = None,
    groups: int = GROUPS,
    group_size: int = GROUP_SIZE,
) -> ReConParts:
    """Build the model of a published state dict; defaults of what it does not store are published.

    Raises:
        CheckpointError: If the state dict is of another model or does not match.
    """
    if "convs3.weight" not in state or "cls_token" not in state:
        raise CheckpointError(
            f"{path} is not a part segmentation of ReCon: expected parameters cls_token and"
            " convs3.weight"
        )
    first, second = (state[f"propagation_0.mlp_convs.{i}.weight"].shape[0] for i in (0, 1))
    shape = ReConShape.of_state(state, groups=groups, group_size=group_size, heads=heads)
    model = ReConParts(
        shape,
        parts=state["convs3.weight"].shape[0],
        propagation=(first, second),
        hidden=(state["convs1.weight"].shape[0], state["convs2.weight"].shape[0]),
    )
    load_weights(model, under(state, "trunk.", beside=EXTRAS), path)
    return model


class ReConParts(nn.Module):
    """The transformer of ReCon with a head for every point.

    Args:
        shape: Sizes of the transformer.
        parts: Number of part labels.
        propagation: Channels of the feature propagation.
        hidden: Channels of the head.
    """

    def __init__(
        self,
        shape: ReConShape,
        *,
        parts: int = 50,
        propagation: tuple[int, int] = (1536, 1024),
        hidden: tuple[int, int] = (512, 256),
    ):
        super().__init__()
        self.trunk = ReConTrunk(shape)
        width = shape.width
        self.label_conv = nn.Sequential(
            nn.Conv1d(CATEGORIES, CATEGORY_CODE, 1, bias=False),
            nn.BatchNorm1d(CATEGORY_CODE),
            nn.LeakyReLU(0.2),
        )
        self.propagation_0 = Propagation(3 * width + 3, *propagation)
        joined = propagation[1] + 7 * width + CATEGORY_CODE
        self.convs1 = nn.Conv1d(joined, hidden[0], 1)
        self.bns1 = nn.BatchNorm1d(hidden[0])
        self.convs2 = nn.Conv1d(hidden[0], hidden[1], 1)
        self.bns2 = nn.BatchNorm1d(hidden[1])
        self.convs3 = nn.Conv1d(hidden[1], parts, 1)
        self.dropout = nn.Dropout(0.5)

    def forward(self, points: torch.Tensor, category: torch.Tensor) -> torch.Tensor:
        """Segment clouds: (B, N, parts) log-probabilities.

        Args:
            points: (B, N, 3) of unit size with y up.
            category: (B,) int64, the category of each object, 0 to 15.
        """
        return self.head(self.head_input(points, category))

    def head_input(self, points: torch.Tensor, category: torch.Tensor) -> torch.Tensor:
        """Return (B, C, N): features propagated to each point, then those of the object."""
        patches, world, centres = self.patch_features(points)
        propagated = self.propagation_0(points, centres, patches)
        code = nn.functional.one_hot(category, CATEGORIES).to(points.dtype).unsqueeze(-1)
        whole = torch.cat(
            [patches.amax(1), patches.mean(1), world, self.label_conv(code).squeeze(-1)], 1
        )
        whole = whole.unsqueeze(-1).expand(-1, -1, points.shape[1])
        return torch.cat([propagated, whole], 1)

    def patch_features(
        self, points: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return patches after three depths (B, G, 3 C), global tokens (B, C), centres (B, G, 3).

        The depths are a third, two thirds and all of the blocks, 4, 8 and 12 officially.
        """
        groups = self.trunk.group(points)
        tokens = self.trunk.encoder(groups.relative)
        states = list(self.trunk.states(tokens, groups.centres))
        depths = [len(states) * third // 3 - 1 for third in (1, 2, 3)]
        patches = torch.cat([self.trunk.norm(states[depth][1]) for depth in depths], -1)
        # As published, the global tokens are not normalised here.
        return patches, states[-1][0].amax(1), groups.centres

    def head(self, feat: torch.Tensor) -> torch.Tensor:
        """Map features (B, C, N) to (B, N, parts) log-probabilities."""
        feat = self.dropout(torch.relu(self.bns1(self.convs1(feat))))
        feat = torch.relu(self.bns2(self.convs2(feat)))
        return self.convs3(feat).transpose(1, 2).log_softmax(-1)


class Propagation(nn.Module):
    """Feature propagation from patches to points (PointNet++, Qi et al., NeurIPS 2017)."""

    def __init__(self, in_channels: int, hidden: int, out_channels: int):
        super().__init__()
        sizes = (in_channels, hidden, out_channels)
        self.mlp_convs = nn.ModuleList(nn.Conv1d(sizes[i], sizes[i + 1], 1) for i in (0, 1))
        self.mlp_bns = nn.ModuleList(nn.BatchNorm1d(size) for size in sizes[1:])

    def forward(
        self, points: torch.Tensor, centres: torch.Tensor, patches: torch.Tensor
    ) -> torch.Tensor:
        """Propagate patches (B, G, C) at (B, G, 3) to points (B, N, 3): (B, out_channels, N)."""
        feat = torch.cat([points, interpolate_three(points, centres, patches)], -1)
        feat = feat.transpose(1, 2)
        for conv, norm in zip(self.mlp_convs, self.mlp_bns, strict=True):
            feat = torch.relu(norm(conv(feat)))
        return feat

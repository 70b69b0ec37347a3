# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""An encoder as a plain function of arrays, which ``torch.export`` can trace."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from concerto_ros.ptv3.encoder import Encoder, join_levels
from concerto_ros.ptv3.export.arrays import level_input, patch_input
from concerto_ros.ptv3.export.head_matrix import HeadMatrix
from concerto_ros.ptv3.hierarchy import Hierarchy, Level
from concerto_ros.ptv3.joined_levels import joined_levels
from concerto_ros.ptv3.kernels.neighbours import CENTRE, KERNEL_ORDER
from concerto_ros.ptv3.kernels.pooling import PaddedPooling
from concerto_ros.ptv3.patches import Patches, PatchGroup


class ArrayProgram(nn.Module):
    """The encoder's own modules on a hierarchy that is made of arrays within the trace."""

    def __init__(self, encoder: Encoder, head: HeadMatrix | None):
        super().__init__()
        self.encoder = encoder
        self.joined = 0
        self.head: nn.Linear | None = None
        if head is not None:
            classes, width = head.weight.shape
            self.head = nn.Linear(width, classes)
            self.head.load_state_dict({"weight": head.weight, "bias": head.bias})
            self.joined = joined_levels(head.name, width, encoder)

    def forward(self, arrays: dict[str, torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """Compute the outputs of the description from the arrays of its inputs, by name."""
        encoder = self.encoder
        hierarchy = Hierarchy(
            tuple(self._level(index, arrays) for index in range(len(encoder.config.enc_depths)))
        )
        feat = encoder.embed(arrays["feat"], hierarchy)
        pyramid = encoder.forward_embedded(feat, hierarchy)
        feats = pyramid.feats
        if self.head is None:
            return feats
        clusters = pyramid.clusters
        features = join_levels(feats, clusters, self.joined)
        for index in range(len(feats) - 2 - self.joined, -1, -1):
            features = features.index_select(0, clusters[index])
        return (*feats, self.head(features))

    def _level(self, index: int, arrays: Mapping[str, torch.Tensor]) -> Level:
        def array(name: str) -> torch.Tensor:
            return arrays[level_input(index, name)]

        config = self.encoder.config
        nothing = arrays["feat"].new_empty(0)
        pooling = None
        if index:
            cluster = arrays.get(level_input(index, "cluster"), nothing)
            pooling = PaddedPooling(cluster, array("members"))
        patches = {
            patching: _patches(
                *(arrays[patch_input(index, patching, part)] for part in ("rows", "keys", "slots"))
            )
            for patching in config.patches_of_level(index)
        }
        return Level(
            grid_coord=nothing,
            coord=array("coord") if config.rotary else nothing,
            batch=nothing,
            offset=nothing,
            depth=0,
            patches=patches,
            neighbours=_Pairs(array("sources"), array("targets"), array("ends")),
            pooling=pooling,
        )


def _patches(rows: torch.Tensor, keys: torch.Tensor, slots: torch.Tensor) -> Patches:
    is_key = torch.arange(rows.shape[1]) < keys[:, None]
    everything = slice(None)
    group = PatchGroup(rows.shape[0], everything, everything, is_key[:, None, None])
    return Patches(rows.flatten(), (group,), slots)


class _Pairs:
    """Pairs of touching voxels whose runs are as long as an array says."""

    def __init__(self, sources: torch.Tensor, targets: torch.Tensor, ends: torch.Tensor):
        self._runs = []
        start = 0
        for end in ends.tolist():
            # What a trace cannot see.
            torch._check(start >= 0)
            torch._check(end >= start)
            torch._check(end <= sources.shape[0])
            torch._check(end <= targets.shape[0])
            self._runs.append((sources[start:end], targets[start:end]))
            start = end

    def convolve(
        self, feat: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor
    ) -> torch.Tensor:
        """Convolve (N, C_in) features by the weight in its official shape, (N, C_out)."""
        matrices = weight.permute(1, 2, 3, 4, 0).flatten(0, 2)
        out = torch.addmm(bias, feat, matrices[CENTRE]).float()
        for (sources, targets), k in zip(self._runs, KERNEL_ORDER, strict=True):
            product = feat.index_select(0, sources) @ matrices[k]
            # In a run each target is once, so the order of additions is fixed.
            out = out.index_add(0, targets, product.float())
        return out

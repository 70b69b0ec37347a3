# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Scores of words: cosines of a cloud's voxels with words, level by level and as it is written."""

from __future__ import annotations

from collections.abc import Callable

import torch

from benchmarks.measure import runs
from benchmarks.scenes import model_input, scanned_scene
from concerto_ros.heads.language import LanguageHead
from concerto_ros.ptv3 import load_encoder
from concerto_ros.ptv3.cpu.onednn import linear

#: Voxels of the cloud, words that they are compared with, and width of the text space (MiniLM's).
VOXELS, WORDS, WIDTH = 100_000, 50, 384


@torch.inference_mode()
def measure(device: torch.device) -> dict[str, list[float]]:
    """Time the scores of a cloud's features as the bundled encoder gives them.

    Returns:
        Milliseconds of several runs, by what was computed.
    """
    encoder = load_encoder("demo")
    _, grid_coord, coord, offset = model_input(scanned_scene(VOXELS))
    hierarchy = encoder.hierarchy(grid_coord, coord, offset)
    generator = torch.Generator().manual_seed(0)
    feats = [
        torch.randn(len(level.grid_coord), width, generator=generator).to(device)
        for level, width in zip(hierarchy.levels, encoder.channels, strict=True)
    ]
    clusters = [level.pooled_from.cluster.to(device) for level in hierarchy.levels[1:]]
    joined = len(clusters)
    head = LanguageHead(sum(encoder.channels), WIDTH).requires_grad_(False)
    vectors = torch.randn(WORDS, WIDTH, generator=generator)
    scorer = head.for_words(vectors)
    head = head.to(device)
    of_words = vectors.to(device) @ head.weight
    bias = vectors.to(device) @ head.bias

    def wide() -> torch.Tensor:
        feat = feats[-1]
        for finer, cluster in zip(reversed(feats[:-1]), reversed(clusters), strict=True):
            feat = torch.cat([finer, feat.index_select(0, cluster)], dim=1)
        return feat

    feat = wide()
    work: dict[str, Callable[[], object]] = {
        "level by level": lambda: scorer.cosines_by_level(feats, clusters, joined),
        "plain formula: joined features": wide,
        "plain formula: words": lambda: linear(feat, of_words, bias),
        "plain formula: norm": lambda: linear(feat, head.weight, head.bias).norm(dim=1),
    }
    return {name: [1e3 * each for each in runs(act, device)] for name, act in work.items()}

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How well a model labels scans it has not seen, counted at their original points."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from concerto_ros.labels.confusion import Confusion
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.learning.evaluation.grid_voting import vote
from concerto_ros.learning.methods.segmenter import Segmenter
from concerto_ros.segmentation.convention import Convention


def evaluate(
    model: Segmenter,
    scans: Sequence[Scan],
    convention: Convention,
    voxel_size: float,
    *,
    phases: int = 1,
    device: torch.device | str = "cpu",
    progress: bool = False,
) -> Confusion:
    """Label every point of every scan with what its voxel gets, by a vote over grid ``phases``."""
    from tqdm import tqdm

    score = Confusion(model.head.num_classes)
    model.eval()
    indices = tqdm(range(len(scans)), disable=not progress, unit="scan", desc="evaluation")
    for index in indices:
        scan = scans[index]
        probability = vote(model, scan, convention, voxel_size, phases, device)
        score.add(probability.argmax(axis=1), scan.labels)
    return score

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Evaluation of a model at the original points of scans, as Pointcept counts."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from concerto_ros.labels.confusion import Confusion
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.learning.evaluation.grid_voting import vote_over_grids
from concerto_ros.learning.evaluation.views import VIEWS
from concerto_ros.learning.methods.segmenter import Segmenter
from concerto_ros.segmentation.convention import Convention


def evaluate(
    model: Segmenter,
    scans: Sequence[Scan],
    convention: Convention,
    voxel_size: float,
    *,
    phases: int = 1,
    views: int = 1,
    every_point: bool = False,
    device: torch.device | str = "cpu",
    progress: bool = False,
) -> Confusion:
    """Label every point of every scan by its voxel's scores and count the labels.

    Args:
        model: Encoder and head; is put into evaluation mode.
        scans: Scans to evaluate on.
        convention: Scale and centre of the coordinates.
        voxel_size: Metres.
        phases: Number of grid offsets whose probabilities are averaged (test-time augmentation).
        views: Number of views of each scan, a key of
            :data:`~concerto_ros.learning.evaluation.views.VIEWS`; all of them are averaged.
        every_point: Whether a voxel is each of its points in turn, instead of their mean.
        device: Where the model is.
        progress: Whether to show a progress bar.

    Returns:
        The confusion matrix over all points that have a label.
    """
    from tqdm import tqdm

    score = Confusion(model.head.num_classes)
    model.eval()
    indices = tqdm(range(len(scans)), disable=not progress, unit="scan", desc="evaluation")
    for index in indices:
        scan = scans[index]
        probability = vote_over_grids(
            model,
            scan,
            convention,
            voxel_size,
            phases,
            device,
            views=VIEWS[views],
            every_point=every_point,
        )
        score.add_scores(probability, scan.labels)
    return score

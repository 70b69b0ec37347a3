# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The last step of a training: the head's biases and its temperature, by held-out scans."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from concerto_ros.labels.confusion import Confusion
from concerto_ros.labels.label_set import UNLABELLED
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.learning.methods.segmenter import Segmenter
from concerto_ros.learning.training.temperature import fit_temperature, scored
from concerto_ros.learning.training.trainer import Collate

#: Largest change of a bias. The best one for simulated scans is not that for real ones, so it only
#: undoes what the weights of the loss do to rare classes.
LARGEST_SHIFT = 0.25


@torch.inference_mode()
def calibrate(model: Segmenter, scans: Sequence[Scan], collate: Collate, seed: int = 0) -> None:
    """Set the head's biases and its temperature by scans that were not trained on.

    The loss gives rare classes larger weights, which makes the model predict them too often: the
    biases are changed one at a time, each by at most :data:`LARGEST_SHIFT`, where both halves of
    the scans have a better mIoU for it. The temperature is fitted to crops of the scans that are
    augmented as in training, because scans to come differ from these.

    Args:
        model: Encoder and head; the head is changed.
        scans: At least two.
        collate: Makes batches.
        seed: Of the augmentation.
    """
    model.eval()
    whole = list(_scored(model, scans, collate, None))
    bias = _best_bias(whole[::2], whole[1::2])
    model.head.seg_head.bias.add_(bias)
    rng = np.random.default_rng(seed)
    varied = scored(_scored(model, scans, collate, rng), most=2000)
    model.head.temperature = fit_temperature(*varied)


def _scored(
    model: Segmenter, scans: Sequence[Scan], collate: Collate, rng: np.random.Generator | None
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Scores (V, K) and labels (V,) of the labelled voxels of each scan."""
    for index in range(len(scans)):
        batch = collate([scans[index]], rng)
        labelled = batch.labels != UNLABELLED
        yield model(batch)[labelled], batch.labels[labelled]


def _best_bias(
    *parts: Sequence[tuple[torch.Tensor, torch.Tensor]],
) -> torch.Tensor:
    """What to add to the scores so that the mIoU of each part is better, (K,)."""
    joined = [tuple(map(torch.cat, zip(*part, strict=True))) for part in parts]

    def mious(bias: torch.Tensor) -> np.ndarray:
        values = []
        for scores, labels in joined:
            score = Confusion(len(bias))
            score.add((scores + bias).argmax(1).numpy(), labels.numpy())
            values.append(score.present_mean_iou)
        return np.array(values)

    bias = torch.zeros(joined[0][0].shape[1])
    best = mious(bias)
    for step in (LARGEST_SHIFT / 2, LARGEST_SHIFT / 2, LARGEST_SHIFT / 4):
        for label in range(len(bias)):
            for change in (-step, step):
                candidate = bias.clone()
                shifted = (candidate[label] + change).clamp(-LARGEST_SHIFT, LARGEST_SHIFT)
                candidate[label] = shifted
                values = mious(candidate)
                if (values > best).all():
                    best, bias = values, candidate
    return bias

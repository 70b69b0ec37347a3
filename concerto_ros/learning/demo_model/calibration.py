# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The last steps of a training: the head's biases, its temperature, and what is familiar to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from concerto_ros.heads.familiarity import Familiarity
from concerto_ros.labels.confusion import Confusion
from concerto_ros.labels.label_set import UNLABELLED
from concerto_ros.learning.data.batch import Batch
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.learning.methods.segmenter import Segmenter, pyramid_of
from concerto_ros.learning.training.temperature import fit_temperature, scored
from concerto_ros.learning.training.trainer import Collate

#: Largest change of a bias. The best one for simulated scans is not that for real ones, so it only
#: undoes what the weights of the loss do to rare classes.
LARGEST_SHIFT = 0.25

#: Training scans whose features are taken for familiar ones: more hardly change their covariance.
MOST_SCANS = 200

#: Voxels of a scan whose features are taken, at most.
MOST_VOXELS = 5000

#: Share of the voxels of held-out scans that are familiar.
FAMILIAR_SHARE = 0.99


@torch.no_grad()
def shift_biases(model: Segmenter, scans: Sequence[Scan], collate: Collate) -> None:
    """Set the head's biases by scans that were not trained on.

    The loss gives rare classes larger weights, which makes the model predict them too often: the
    biases are changed one at a time, each by at most :data:`LARGEST_SHIFT`, where both halves of
    the scans have a better mIoU for it.

    Args:
        model: Encoder and head; the head is changed.
        scans: At least two.
        collate: Makes batches.
    """
    model.eval()
    whole = [
        (model(batch)[labelled], batch.labels[labelled])
        for batch in _batches(scans, collate, None)
        for labelled in [batch.labels != UNLABELLED]
    ]
    model.head.seg_head.bias.add_(_best_bias(whole[::2], whole[1::2]))


@torch.no_grad()
def fit_confidence(
    model: Segmenter,
    training: Sequence[Scan],
    held_out: Sequence[Scan],
    collate: Collate,
    seed: int = 0,
) -> None:
    """Set what tells how far to trust a label: the head's temperature and its familiarity.

    Both are fitted to crops of scans that are augmented as in training, beside the scans as they
    are, because scans to come differ from these. No label changes.

    What is familiar are the features of the finest level: they know how far a voxel is from the
    middle of the scene, how high it is, and its colour and normal. On recordings they tell streets
    from rooms far better than the coarser ones, which learn to be alike whatever is before them.

    Args:
        model: Encoder and head; the head is changed.
        training: Scans that were trained on; of more than :data:`MOST_SCANS`, some from all over
            them are taken. Their features are familiar.
        held_out: Scans that were not. Confidences are right on average over their voxels, and
            :data:`FAMILIAR_SHARE` of these are familiar.
        collate: Makes batches.
        seed: Of the augmentation.
    """
    model.eval()
    rng = np.random.default_rng(seed)
    every = max(1, -(-len(training) // MOST_SCANS))
    seen = [training[index] for index in range(0, len(training), every)]
    features = []
    for batch in _varied(seen, collate, rng):
        finest = pyramid_of(model.encoder, batch).feats[0]
        features.append(finest[:: -(-len(finest) // MOST_VOXELS)].clone())
    familiarity = Familiarity.of(torch.cat(features))
    distances, scores = [], []
    for batch in _varied(held_out, collate, rng):
        pyramid = pyramid_of(model.encoder, batch)
        distances.append(familiarity.distance_of_rows(pyramid).numpy())
        scores.append((model.head.scores(pyramid, model.concat_levels), batch.labels))
    model.head.temperature = fit_temperature(*scored(scores, most=2000))
    familiarity.threshold.fill_(float(np.quantile(np.concatenate(distances), FAMILIAR_SHARE)))
    model.head.familiarity = familiarity


def _varied(scans: Sequence[Scan], collate: Collate, rng: np.random.Generator) -> Iterator[Batch]:
    """Each scan as it is, and a crop of it augmented as in training."""
    yield from _batches(scans, collate, None)
    yield from _batches(scans, collate, rng)


def _batches(
    scans: Sequence[Scan], collate: Collate, rng: np.random.Generator | None
) -> Iterator[Batch]:
    for index in range(len(scans)):
        yield collate([scans[index]], rng)


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

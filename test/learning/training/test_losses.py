# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Losses against their definitions in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from concerto_ros.learning.training.losses import (
    balanced_weights,
    lovasz_softmax,
    segmentation_loss,
)


def case(seed, rows=60, classes=4, dtype=torch.float32, spread=2.0):
    generator = torch.Generator().manual_seed(seed)
    logits = (torch.randn(rows, classes, generator=generator, dtype=torch.float64) * spread).to(
        dtype
    )
    labels = torch.randint(0, classes, (rows,), generator=generator)
    return logits, labels


def jaccard_loss(wrong, truth):
    """1 - IoU of a class when the rows of ``wrong`` are mislabelled."""
    hit, union = (truth & ~wrong).sum(), (truth | wrong).sum()
    return 1 - hit / union


def lovasz_by_hand(probability, labels):
    """Lovász extension of the Jaccard loss, straight from its definition on sorted errors."""
    losses = []
    for label in np.unique(labels):
        truth = labels == label
        errors = np.where(truth, 1 - probability[:, label], probability[:, label])
        order = np.argsort(-errors, kind="stable")
        wrong, before, total = np.zeros(len(labels), bool), 0.0, 0.0
        for row in order:
            wrong[row] = True
            after = jaccard_loss(wrong, truth)
            total += errors[row] * (after - before)
            before = after
        losses.append(total)
    return np.mean(losses)


def cross_entropy_by_hand(logits, labels, weights):
    shifted = logits - logits.max(axis=1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    weight = weights[labels]
    return -(weight * logs[np.arange(len(labels)), labels]).sum() / weight.sum()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("spread", [0.3, 8.0])
def test_lovasz_is_the_extension_of_the_jaccard_loss(seed, spread):
    logits, labels = case(seed, spread=spread)
    probability = logits.double().softmax(1)
    wanted = lovasz_by_hand(probability.numpy(), labels.numpy())
    assert float(lovasz_softmax(probability, labels)) == pytest.approx(wanted, abs=1e-12)
    assert float(lovasz_softmax(logits.softmax(1), labels)) == pytest.approx(wanted, abs=1e-5)


def test_of_certain_answers_lovasz_is_one_minus_iou():
    predicted, labels = torch.tensor([0, 0, 1, 1, 2, 2]), torch.tensor([0, 1, 1, 1, 2, 0])
    certain = torch.nn.functional.one_hot(predicted, 3).double()
    iou = np.mean([1 / 3, 2 / 3, 1 / 2])
    assert float(lovasz_softmax(certain, labels)) == pytest.approx(1 - iou)


def test_the_gradient_of_both_is_that_of_finite_differences():
    logits, labels = case(7, rows=12, dtype=torch.float64)
    labels[3] = 255
    weights = torch.tensor([1.0, 2.0, 0.5, 1.0], dtype=torch.float64)
    probability = logits.softmax(1).requires_grad_(True)
    known = labels.clone()
    known[3] = 0
    assert torch.autograd.gradcheck(lambda p: lovasz_softmax(p, known), (probability,))

    def loss(value):
        kept = labels != 255
        logs = value[kept].log_softmax(1)
        entropy = torch.nn.functional.nll_loss(logs, labels[kept], weight=weights)
        return entropy + 0.7 * lovasz_softmax(logs.exp(), labels[kept])

    single = logits.float().requires_grad_(True)
    segmentation_loss(single, labels, class_weights=weights.float(), lovasz=0.7).backward()
    double = logits.clone().requires_grad_(True)
    loss(double).backward()
    assert single.grad.numpy() == pytest.approx(double.grad.numpy(), abs=1e-6)
    assert not single.grad[3].any()


def test_cross_entropy_weighs_classes_and_leaves_out_what_has_no_label():
    logits, labels = case(2)
    weights = np.array([1.0, 0.2, 3.0, 1.5])
    padded = torch.cat([logits, torch.full((5, 4), 1e3)])
    more = torch.cat([labels, torch.full((5,), 255)])
    loss = segmentation_loss(
        padded, more, class_weights=torch.from_numpy(weights).float(), lovasz=0.0
    )
    wanted = cross_entropy_by_hand(logits.double().numpy(), labels.numpy(), weights)
    assert float(loss) == pytest.approx(wanted, rel=1e-5)


def test_without_any_label_there_is_nothing_to_learn():
    logits = torch.randn(5, 3, requires_grad=True)
    loss = segmentation_loss(logits, torch.full((5,), 255))
    loss.backward()
    assert float(loss.detach()) == 0 and not logits.grad.any()


def test_one_voxel_is_enough():
    logits = torch.tensor([[2.0, 0.0]], requires_grad=True)
    segmentation_loss(logits, torch.tensor([0])).backward()
    assert torch.isfinite(logits.grad).all() and logits.grad[0, 0] < 0


def test_huge_scores_stay_finite():
    logits = torch.tensor([[1e30, -1e30], [-1e30, 1e30]], requires_grad=True)
    loss = segmentation_loss(logits, torch.tensor([0, 1]))
    loss.backward()
    assert float(loss.detach()) == 0 and torch.isfinite(logits.grad).all()


def test_rare_classes_weigh_more_and_absent_ones_nothing():
    weights = balanced_weights(np.array([900, 0, 100]))
    assert weights[1] == 0 and weights[[0, 2]].mean() == pytest.approx(1)
    assert float(weights[2] / weights[0]) == pytest.approx(3)
    with pytest.raises(ValueError, match="no class has a labelled point"):
        balanced_weights(np.zeros(3))

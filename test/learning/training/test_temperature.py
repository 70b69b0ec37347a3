# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The temperature of a head: with it, confidences are as high as labels are right."""

from __future__ import annotations

import pytest
import torch

from concerto_ros.learning.training.temperature import (
    HIGHEST,
    LOWEST,
    fit_temperature,
    scored,
)


def voxels(temperature: float, size: int = 20_000):
    """Scores that are ``temperature`` times as large as the labels are certain."""
    random = torch.Generator().manual_seed(0)
    scores = 2 * torch.randn(size, 5, generator=random)
    labels = torch.multinomial(scores.softmax(dim=1), 1, generator=random)[:, 0]
    return scored([(temperature * scores, labels)])


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_what_made_scores_too_large_is_found(temperature):
    validation = voxels(temperature)
    fitted = fit_temperature(*validation)
    assert fitted == pytest.approx(temperature, rel=0.05)
    assert validation.confidence(fitted) == pytest.approx(validation.accuracy, abs=0.01)


def test_labels_that_are_always_or_never_right_reach_the_bounds():
    scores = torch.eye(3)
    assert fit_temperature(scores, torch.arange(3)) == pytest.approx(LOWEST, rel=0.01)
    assert fit_temperature(scores, torch.tensor([1, 2, 0])) == pytest.approx(HIGHEST, rel=0.01)


def test_only_labelled_voxels_count_and_of_many_some_from_everywhere():
    labels = torch.tensor([255, 0, 1, 255, 2, 1])
    few = scored([(torch.eye(6), labels), (torch.eye(6), labels)], most=2)
    assert few.labels.tolist() == [0, 2, 0, 2]
    assert few.scores.argmax(1).tolist() == [1, 4, 1, 4]


def test_without_labels_or_with_scores_that_are_not_finite_nothing_is_fitted():
    with pytest.raises(ValueError, match="labels: got none"):
        fit_temperature(torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64))
    with pytest.raises(ValueError, match="scores: got NaN or infinity"):
        fit_temperature(torch.tensor([[1.0, float("nan")]]), torch.tensor([0]))

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From scores to probabilities, before and after the fusion over time."""

from __future__ import annotations

import pytest
import torch

from concerto_ros.heads.scoring import Sigmoid, Softmax


def fused(*logits):
    """The mean of log-probabilities, as labels are fused."""
    mean = torch.stack([each.log_softmax(dim=1) for each in logits]).mean(dim=0)
    return mean.log_softmax(dim=1)


@pytest.fixture
def scores():
    return torch.rand(2, 5, 3, generator=torch.Generator().manual_seed(0)) - 0.5


def test_softmax_of_fused_scores_is_that_of_their_mean(scores):
    scoring = Softmax(0.1)
    mean = fused(*map(scoring.logits, scores))
    wanted = (scores.mean(dim=0) / 0.1).softmax(dim=1)
    for column in range(scoring.columns(mean).shape[1]):
        result = scoring.probability(mean, torch.full((5,), column))
        torch.testing.assert_close(result, wanted[:, column])


def test_sigmoid_of_fused_scores_is_that_of_their_mean(scores):
    scoring = Sigmoid(20.0, -3.0)
    mean = fused(*map(scoring.logits, scores))
    wanted = (20 * scores.mean(dim=0) - 3).sigmoid()
    assert scoring.columns(mean).shape == (5, 3)
    for column in range(3):
        result = scoring.probability(mean, torch.full((5,), column))
        torch.testing.assert_close(result, wanted[:, column])


@pytest.mark.parametrize("scoring", [Softmax(0.1), Sigmoid(20.0, -3.0)])
def test_logits_become_the_scores_that_they_were_made_of(scoring, scores):
    torch.testing.assert_close(scoring.of_logits(scoring.to_logits(scores[0])), scores[0])


@pytest.mark.parametrize("value", [0, -1.0, float("nan"), float("inf"), "2"])
def test_a_scale_that_is_no_positive_number_is_refused(value):
    for scoring in (Softmax, lambda scale: Sigmoid(scale, 0.0)):
        with pytest.raises(ValueError, match=r"(temperature|scale) is .*; expected a finite num"):
            scoring(value)
    with pytest.raises(ValueError, match="bias is nan; expected a finite number"):
        Sigmoid(1.0, float("nan"))

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Masks of pre-training: how many patches are hidden, and which."""

from __future__ import annotations

import pytest
import torch

from concerto_ros.learning.objects.names import MASKS
from concerto_ros.learning.objects.pretraining.masks import draw_mask


def centres(batch: int = 5, groups: int = 21) -> torch.Tensor:
    return torch.randn(batch, groups, 3, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize(("ratio", "hidden"), [(0.6, 12), (0.8, 16), (0.05, 1)])
def test_every_cloud_hides_the_whole_part_of_its_share(kind, ratio, hidden):
    mask = draw_mask(centres(), kind, ratio, torch.Generator().manual_seed(1))
    assert mask.shape == (5, 21) and mask.dtype == torch.bool
    assert mask.sum(1).tolist() == [hidden] * 5
    again = draw_mask(centres(), kind, ratio, torch.Generator().manual_seed(1))
    assert torch.equal(mask, again)


def test_a_block_is_what_is_nearest_to_one_of_its_patches():
    at = centres().double()
    mask = draw_mask(at, "block", 0.4, torch.Generator().manual_seed(2))
    for own, hidden in zip(at, mask, strict=True):
        distance = torch.cdist(own, own)
        farthest_hidden = distance[:, hidden].amax(1)
        nearest_seen = distance[:, ~hidden].amin(1)
        assert ((farthest_hidden < nearest_seen) & hidden).any()


def test_a_random_mask_hides_every_patch_as_often():
    mask = draw_mask(centres(1).expand(4000, -1, -1), "random", 0.6, torch.Generator())
    share = mask.double().mean(0)
    assert (share - 12 / 21).abs().max() < 0.04


@pytest.mark.parametrize("ratio", [0.0, 0.01, 1.0, 1.4])
def test_a_share_that_hides_nothing_or_all_is_refused(ratio):
    with pytest.raises(ValueError, match="the mask ratio is .* of 21 patches, expected a share"):
        draw_mask(centres(), "random", ratio)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="mask is 'rand', expected one of random, block"):
        draw_mask(centres(), "rand", 0.6)

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Classes taught by examples: the row that is fitted, and what it leaves alone."""

from __future__ import annotations

import pytest
import torch
from taught_heads import taught_head

from concerto_ros.heads import LinearHead
from concerto_ros.heads.added_rows import MAX_ROWS, Examples, fitted_rows

CHANNELS = 24


def head_of(centers: torch.Tensor) -> LinearHead:
    """A head that takes a feature for the nearest of ``centers`` (K, C)."""
    head = LinearHead(centers.shape[1], len(centers), name="base")
    weight, bias = 2 * centers, -centers.square().sum(dim=1)
    head.load_state_dict({"seg_head.weight": weight, "seg_head.bias": bias})
    return head.eval().requires_grad_(False)


@pytest.fixture
def scene():
    """Six clusters of features, a head that knows the first four, and 200 samples of each."""
    random = torch.Generator().manual_seed(3)
    centers = torch.randn(6, CHANNELS, generator=random)
    noise = 0.35 * torch.randn(6, 200, CHANNELS, generator=random)
    return head_of(centers[:4]), centers[:, None] + noise


def share(head: LinearHead, feat: torch.Tensor, label: int) -> float:
    return (head(feat).argmax(dim=1) == label).float().mean().item()


def lesson(samples: torch.Tensor, cluster: int, shown: int = 10) -> Examples:
    """A few samples of one cluster, against half of all that there is; a few are mistaken."""
    others = [samples[other, 100::2] for other in range(len(samples)) if other != cluster]
    return Examples(samples[cluster, :shown], torch.cat([*others, samples[cluster, 100:103]]))


def test_a_few_examples_make_a_class_and_leave_the_others_alone(scene):
    base, samples = scene
    head = taught_head(base, {4: lesson(samples, 4)})
    assert head.num_classes == 5 and not any(p.requires_grad for p in head.parameters())
    assert share(head, samples[4, 10:], 4) > 0.95
    for cluster in range(4):
        assert share(head, samples[cluster], cluster) > 0.98
    # Bit for bit: a point keeps its label or takes the taught one, and none other.
    assert torch.equal(head.seg_head.weight[:4], base.seg_head.weight)
    assert torch.equal(head.seg_head.bias[:4], base.seg_head.bias)


def test_the_examples_need_not_be_as_many_as_the_channels(scene):
    base, samples = scene
    one = taught_head(base, {4: lesson(samples, 4, shown=1)})
    assert share(one, samples[4], 4) > 0.5
    assert one.seg_head.weight.isfinite().all()


def test_several_taught_classes_are_told_apart(scene):
    base, samples = scene
    head = taught_head(base, {4: lesson(samples, 4), 5: lesson(samples, 5)})
    for cluster in range(6):
        assert share(head, samples[cluster], cluster) > 0.9


def test_a_class_that_was_there_is_refined_from_where_it_was(scene):
    base, samples = scene
    other_kind = samples[4]
    assert share(base, other_kind, 1) < 0.5
    head = taught_head(base, {1: lesson(samples, 4)})
    assert head.num_classes == 4
    assert share(head, other_kind, 1) > 0.75 and share(head, samples[1], 1) > 0.95
    kept = [0, 2, 3]
    assert torch.equal(head.seg_head.weight[kept], base.seg_head.weight[kept])


def test_a_head_that_is_no_matrix_is_extended_as_well(scene):
    """Cosines with words: two classes, and two more columns that only take part as rivals."""
    _, samples = scene
    words = torch.nn.functional.normalize(samples[:4].mean(dim=1), dim=1)

    def logits(features):
        return 20 * torch.nn.functional.normalize(features, dim=1) @ words.T

    def labels(features):
        products = features @ rows.weight.T + rows.bias
        return rows.extend(logits(features), products).argmax(dim=1)

    rows = fitted_rows(logits, 2, {2: lesson(samples, 4), 1: lesson(samples, 5)})
    extended = rows.extend(logits(samples[0]), samples[0] @ rows.weight.T + rows.bias)
    assert extended.shape[1] == 5
    assert torch.equal(extended[:, [0, 3, 4]], logits(samples[0])[:, [0, 2, 3]])
    assert (labels(samples[5]) == 1).float().mean() > 0.75
    for cluster, label in ((0, 0), (1, 1), (2, 3), (3, 4), (4, 2)):
        assert (labels(samples[cluster]) == label).float().mean() > 0.9


def test_the_same_examples_give_the_same_head(scene):
    base, samples = scene
    first, second = (taught_head(base, {4: lesson(samples, 4)}) for _ in range(2))
    assert torch.equal(first.seg_head.weight, second.seg_head.weight)


def test_channels_that_do_not_vary_and_large_ones_do_no_harm(scene):
    base, samples = scene
    wide = LinearHead(CHANNELS + 2, 4)
    wide.load_state_dict(
        {
            "seg_head.weight": torch.cat([base.seg_head.weight, torch.zeros(4, 2)], dim=1),
            "seg_head.bias": base.seg_head.bias,
        }
    )
    flat = torch.tensor([7.0, 0.0]).expand(*samples.shape[:2], 2)
    head = taught_head(wide.eval(), {4: lesson(torch.cat([samples, flat], dim=2), 4)})
    shifted = torch.cat([samples[4], flat[4]], dim=1)
    assert share(head, shifted, 4) > 0.95 and head.seg_head.weight.isfinite().all()


def test_examples_are_joined_and_kept_within_bounds():
    few = Examples(torch.zeros(3, 2), torch.ones(MAX_ROWS + 1, 2))
    both = few.joined(Examples(torch.ones(1, 2), torch.zeros(0, 2))).thinned()
    assert both.showing.tolist() == [[0, 0]] * 3 + [[1, 1]]
    assert len(both.other) == (MAX_ROWS + 2) // 2


def test_labels_of_taught_classes_have_no_gap(scene):
    base, samples = scene
    with pytest.raises(ValueError, match=r"labels are \[5\], expected all of 0 to 4"):
        taught_head(base, {5: lesson(samples, 4)})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("part", ["showing", "other"])
def test_examples_that_are_not_finite_are_refused(scene, part, value):
    base, samples = scene
    examples = lesson(samples.clone(), 4)
    getattr(examples, part)[0, 0] = value
    with pytest.raises(ValueError, match=f"label {base.num_classes} are not finite .*{part}"):
        taught_head(base, {base.num_classes: examples})

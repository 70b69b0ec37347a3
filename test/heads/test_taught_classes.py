# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is an example, which names there are, and what is forgotten; and the file that keeps it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from concerto_ros.heads import LinearHead
from concerto_ros.heads.added_rows import Examples
from concerto_ros.heads.linear import save_head
from concerto_ros.heads.taught_classes import TaughtClasses
from concerto_ros.heads.taught_regions import (
    Ball,
    Box,
    Sample,
    TeachingError,
    examples_of,
    sample_rows,
)
from concerto_ros.labels.label_set import UNLABELLED, LabelSet
from concerto_ros.ptv3.checkpoint import CheckpointError
from concerto_ros.segmentation.model_options import label_set_for

DEMO = LabelSet.load("demo")
LINE = np.stack([np.arange(0, 2, 0.1), np.zeros(20), np.zeros(20)], axis=1)


@pytest.fixture
def base() -> TaughtClasses:
    """A head of four channels whose scores are all alike."""
    head = LinearHead(4, len(DEMO), name="base")
    head.preset = "outdoor"
    head.load_state_dict({name: torch.zeros_like(v) for name, v in head.state_dict().items()})
    return TaughtClasses(head.eval(), DEMO)


def showing(channel: int) -> Examples:
    return Examples(5 * torch.eye(4)[[channel] * 3], torch.randn(40, 4, generator=seeded()))


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def names(taught: TaughtClasses) -> list[str]:
    return [entry.name for entry in taught.labels.classes][len(DEMO) :]


def test_regions_measure_how_far_outside_a_point_is():
    ball = Ball(np.array([1.0, 0, 0]), 0.25)
    assert ball.distance(LINE[[10, 8, 5]]).tolist() == pytest.approx([0, 0, 0.25])
    quarter = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])  # its x axis is y of the map
    box = Box(np.array([2.0, 0, 0]), np.array([2.0, 0.2, 0.2]), quarter, np.array([1.0, 0, 0]))
    points = np.array([[1.0, 2.9, 0], [1.0, 3.5, 0], [1.4, 2.0, 0], [1.4, 3.4, 0]])
    assert box.distance(points).tolist() == pytest.approx([0, 0.5, 0.3, 0.5])


def test_a_sample_is_what_is_inside_and_some_of_what_is_well_outside():
    rows = sample_rows(LINE, Ball(LINE[5], 0.15), max_rows=100)
    assert rows.tolist() == [4, 5, 6, 0, 1, *range(9, 20)]
    few = sample_rows(LINE, Ball(LINE[5], 0.15), max_rows=2)
    assert len(few) == 4 and np.array_equal(
        few, sample_rows(LINE, Ball(LINE[5], 0.15), max_rows=2)
    )


@pytest.mark.parametrize(
    ("region", "wanted"),
    [
        (Ball(np.array([0.0, 9.0, 0]), 1.0), "no voxel inside"),
        (Ball(np.zeros(3), 5.0), "no voxel farther than 0.2 m"),
    ],
)
def test_examples_and_counterexamples_are_both_wanted(region, wanted):
    with pytest.raises(TeachingError, match=wanted):
        sample_rows(LINE, region, 10)


def test_what_another_click_shows_is_no_counterexample():
    features = torch.arange(20.0)[:, None]
    regions = [Ball(LINE[2], 0.05), Ball(LINE[12], 0.05)]
    samples = [Sample(LINE[:15], features[:15]), Sample(LINE[5:], features[5:])]
    examples = examples_of(samples, regions)
    assert examples.showing.ravel().tolist() == [2, 12, 12]
    assert set(examples.other.ravel().tolist()) == {5, 6, 7, 8, 9, 15, 16, 17, 18, 19}


def test_clicks_that_leave_no_counterexample_are_refused():
    features = torch.arange(20.0)[:, None]
    near, far = Ball(LINE[2], 0.3), Ball(LINE[14], 0.3)
    samples = [Sample(LINE[[2, 14]], features[[2, 14]])] * 2
    with pytest.raises(TeachingError, match="no sampled voxel is farther than 0.2 m"):
        examples_of(samples, [near, far])


def test_a_class_without_counterexamples_is_refused(base):
    first = DEMO.classes[0].name  # what the base takes everything for
    with pytest.raises(
        TeachingError, match=f"there are no counterexamples for {first!r}: .* teach it"
    ):
        base.taught(first, showing(2))
    # what shows another class will do, until that is forgotten
    both = base.taught("plant", showing(1)).taught(first, showing(2))
    assert both.head(5 * torch.eye(4)[1:3]).argmax(dim=1).tolist() == [12, 0]
    alone = both.without("plant").head
    assert torch.equal(alone.seg_head.weight, base.head.seg_head.weight)
    assert torch.equal(alone.seg_head.bias, base.head.seg_head.bias)


def test_classes_come_at_the_end_and_go_again(base):
    plant = base.taught("plant", showing(0))
    both = plant.taught("lamp", showing(1))
    assert names(both) == ["plant", "lamp"] == list(both.names)
    assert both.labels.name == "demo + plant + lamp" and both.label_of("lamp") == len(DEMO) + 1
    assert both.head.num_classes == len(DEMO) + 2 and both.newest_examples == 3
    assert both.head(5 * torch.eye(4)[:2]).argmax(dim=1).tolist() == [12, 13]
    without = both.without("plant")
    assert names(without) == ["lamp"] and without.label_of("lamp") == len(DEMO)
    assert names(base) == [] and names(without.without("lamp")) == []
    assert without.without("lamp").head is base.head


def test_a_class_of_the_head_is_refined_and_becomes_what_it_was(base):
    chair = DEMO.classes[5].name
    refined = base.taught(chair, showing(2))
    assert refined.labels == DEMO and refined.head(5 * torch.eye(4)[2]).argmax() == 5
    assert refined.without(chair).head is base.head
    with pytest.raises(TeachingError, match="got 'wall', expected one that was taught .*: chair"):
        refined.without("wall")


def test_more_examples_are_added_to_those_before(base):
    twice = base.taught("plant", showing(0)).taught("plant", showing(1))
    assert names(twice) == ["plant"]
    assert twice.head(5 * torch.eye(4)[:2]).argmax(dim=1).tolist() == [12, 12]


def test_colours_of_added_classes_are_unlike_the_others():
    labels = DEMO
    for number in range(8):
        labels = labels.with_class(f"new {number}")
    colors = np.array([entry.color for entry in labels.classes], float)
    apart = np.linalg.norm(colors[:, None] - colors, axis=2) + 1e9 * np.eye(len(colors))
    assert apart[len(DEMO) :].min() > 50
    assert len({entry.source_id for entry in labels.classes}) == len(labels)


def test_no_class_takes_the_label_of_those_without():
    full = LabelSet.from_generic(UNLABELLED)
    head = LinearHead(4, UNLABELLED).eval()
    with pytest.raises(ValueError, match="255 classes.*'plant' is one too many"):
        TaughtClasses(head, full).check_name("plant")
    with pytest.raises(ValueError, match="in the label set demo already"):
        DEMO.with_class("wall")


def test_without_a_head_nothing_is_taught_or_saved():
    nothing = TaughtClasses(None, LabelSet("none", "none", ()))
    for act in (nothing.named_head, lambda: nothing.taught("plant", showing(0))):
        with pytest.raises(TeachingError, match="set the parameter head"):
            act()


def test_a_saved_head_names_its_classes(base, tmp_path):
    taught = base.taught("plant", showing(0))
    path = tmp_path / "head.pth"
    save_head(path, taught.named_head())
    head = LinearHead.load(path)
    assert torch.equal(head.seg_head.weight, taught.head.seg_head.weight)
    assert label_set_for("", head) == taught.labels and head.preset == "outdoor"
    assert base.head.labels is None  # the one that was loaded is not touched
    with pytest.raises(ValueError, match="got demo with 12 classes, expected 13"):
        label_set_for("demo", head)


@pytest.mark.parametrize(
    ("label_set", "wanted"),
    [
        (DEMO.content, "has 12 classes in label_set, expected 13"),
        ({"name": "a"}, "expected the keys"),
    ],
)
def test_a_head_that_names_other_classes_is_refused(base, tmp_path, label_set, wanted):
    path = tmp_path / "head.pth"
    save_head(path, base.taught("plant", showing(0)).named_head())
    content = torch.load(path, weights_only=True)
    torch.save(content | {"label_set": label_set}, path)
    with pytest.raises(CheckpointError, match=wanted):
        LinearHead.load(path)

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The judge of an encoder: what it measures, and what it calls worse."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from small_rooms import VOXEL, room_scan, small_encoder

from concerto_ros.heads.pca import PcaColors
from concerto_ros.learning.adaptation.judge import Judge, Measures, effective_rank, worse
from concerto_ros.learning.adaptation.report import measures_table
from concerto_ros.learning.adaptation.scene_frames import ImageFrames
from concerto_ros.learning.adaptation.scenes import Scene
from concerto_ros.segmentation.convention import convention_for


def judge(probes=None) -> Judge:
    scenes = [Scene(room_scan(7)), Scene(room_scan(8))]
    return Judge(scenes, probes or {}, convention_for("indoor", rotary=False), VOXEL)


def test_the_effective_rank_counts_directions_that_are_used_alike():
    assert effective_rank(torch.eye(6)) == pytest.approx(6)
    one = torch.outer(torch.arange(1.0, 9), torch.arange(1.0, 5))
    assert effective_rank(one) == pytest.approx(1, abs=1e-6)


def test_features_of_one_place_agree_more_than_those_of_two_and_always_measure_the_same():
    encoder = small_encoder()
    found = judge({"rooms": [room_scan(seed) for seed in range(4)]}).measure(encoder)
    again = judge({"rooms": [room_scan(seed) for seed in range(4)]}).measure(encoder)
    assert found == again
    assert 0 < found.agreement <= 1
    assert found.effective_rank > 2
    assert found.probes["rooms"] > 0.6


def test_a_collapsed_encoder_is_worse():
    encoder = small_encoder()
    before = judge().measure(encoder)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.mul_(1e-3)
    assert worse(before, judge().measure(encoder))


@dataclass(frozen=True)
class SeenRoom:
    """A map whose images see parts of it, in the order of its points from left to right."""

    parts: tuple[tuple[float, float], ...]
    points: np.ndarray

    @property
    def frames(self):
        return tuple(map(str, range(len(self.parts))))

    def pixels(self, frame):
        low, high = self.parts[int(frame)]
        rows = np.flatnonzero((self.points[:, 0] >= low) & (self.points[:, 0] <= high))
        return np.stack([rows * 0, rows * 0, rows], axis=1).astype(np.int32)


def between_frames(*parts):
    scan = room_scan(7)
    scenes = [Scene(scan, frames=ImageFrames(SeenRoom(parts, scan.points)))]
    return replace(judge(), scenes=scenes).measure(small_encoder()).between_frames


def test_frames_agree_by_the_places_that_both_see_and_say_nothing_where_they_share_none():
    same, half = between_frames((0, 3), (0, 3)), between_frames((0, 1.6), (0.9, 2.5))
    assert 0 < half < same <= 1.5
    assert between_frames((0, 1.0), (1.5, 2.5)) is None
    assert between_frames((0, 3)) is None
    assert judge().measure(small_encoder()).between_frames is None


def test_less_agreement_between_frames_is_worse():
    before = Measures(0.5, 20.0, {}, 0.6)
    after = Measures(0.5, 20.0, {}, 0.595)
    assert not worse(before, after)
    assert "place between frames | 0.600 | 0.595 |" in measures_table(before, after)
    assert "frames" not in measures_table(Measures(0.5, 20.0, {}), after)
    (fault,) = worse(before, Measures(0.5, 20.0, {}, 0.5))
    assert "between frames: 0.600, now 0.500" in fault
    assert worse(before, Measures(0.5, 20.0, {}, None))


def test_an_encoder_that_stays_the_same_keeps_the_colours_of_its_features():
    encoder, scan, colors = small_encoder(), room_scan(7), PcaColors()
    first = judge().colored(encoder, scan, colors)
    assert first.shape == (len(scan), 3) and first.dtype == np.uint8 and first.std() > 10
    again = judge().colored(encoder, scan, colors)
    assert np.abs(first.astype(int) - again).max() <= 3
    other = judge().colored(small_encoder(1), scan, colors)
    assert np.abs(first.astype(int) - other).mean() > 20


@pytest.mark.parametrize(
    ("after", "faults"),
    [
        (Measures(0.5, 20.0, {}), 0),
        (Measures(0.495, 17.0, {}), 0),
        (Measures(0.4, 20.0, {}), 1),
        (Measures(0.5, 10.0, {}), 1),
        (Measures(math.nan, math.nan, {}), 2),
    ],
)
def test_without_labels_agreement_and_rank_decide(after, faults):
    assert len(worse(Measures(0.5, 20.0, {}), after)) == faults


def test_with_labels_the_probes_alone_decide():
    before = Measures(0.5, 20.0, {"new": 0.4, "old": 0.6})
    assert not worse(before, Measures(0.1, 2.0, {"new": 0.5, "old": 0.595}))
    (fault,) = worse(before, Measures(0.9, 90.0, {"new": 0.5, "old": 0.5}))
    assert "old fell from 60.0 to 50.0" in fault

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The thread of the object stage: offers and the end at any moment."""

from __future__ import annotations

import sys
import time
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest

from concerto_ros.objects.finder import ObjectFinder
from concerto_ros.ros.objects import ObjectStage

SNAPSHOT = SimpleNamespace(
    index=np.zeros((1, 3), np.int64), points=np.zeros((1, 3), np.float32), voxel_size=0.04,
    stamp=1, colors=None, has_color=None,
)  # fmt: skip
PREDICTION = SimpleNamespace(
    label=np.zeros(1, np.uint8), confidence=np.ones(1, np.float32), classes=()
)


@pytest.fixture
def make_stage():
    """Stages that look as often as they can and find nothing; threads change all the time."""
    settings = SimpleNamespace(rate=1e9, classes=(), supports=(), min_voxels=1, embeddings=False)
    finder = Mock(ObjectFinder)
    finder.find.return_value = SimpleNamespace(objects=(), not_encoded=0, stage_ms={}, trouble="")
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield lambda publish: ObjectStage(finder, lambda: settings, Mock(), publish, Mock())
    sys.setswitchinterval(interval)


def test_offers_at_any_moment_are_looked_at(make_stage, caplog):
    seen = []
    stage = make_stage(seen.append)
    stage.start()
    for _ in range(20_000):
        stage.offer(SNAPSHOT, PREDICTION)
    stage.stop()
    assert stage.join(10.0) and seen
    assert not caplog.records, caplog.text


def test_the_thread_ends_however_soon_after_an_offer_it_is_told_to(make_stage):
    for _ in range(300):
        stage = make_stage(lambda findings: None)
        stage.start()
        stage.offer(SNAPSHOT, PREDICTION)
        time.sleep(0)
        stage.stop()
        assert stage.join(10.0)

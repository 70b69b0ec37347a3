# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The thread of the object stage: offers and the end at any moment."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np

from concerto_ros.objects.finding.finder import ObjectFinder
from concerto_ros.ros.stages.object_stage import ObjectStage

SNAPSHOT = SimpleNamespace(
    index=np.zeros((1, 3), np.int64), points=np.zeros((1, 3), np.float32), voxel_size=0.04,
    stamp=1, colors=None, has_color=None,
)  # fmt: skip
PREDICTION = SimpleNamespace(
    label=np.zeros(1, np.uint8), confidence=np.ones(1, np.float32), classes=()
)


SETTINGS = SimpleNamespace(
    objects=SimpleNamespace(rate=1e9, classes=(), supports=(), min_voxels=1, embeddings=False)
)
PARAMETERS = SimpleNamespace(settings=SETTINGS)


class Slow(threading.Event):
    """Threads take their time before they wake another, less after they were woken."""

    def set(self) -> None:
        time.sleep(0.03)
        super().set()

    def wait(self, timeout: float | None = None) -> bool:
        woken = super().wait(timeout)
        time.sleep(0.01)
        return woken


def make_stage(publish, parameters=PARAMETERS) -> ObjectStage:
    """A stage that looks as often as it can and finds nothing."""
    finder = Mock(ObjectFinder)
    finder.find.return_value = SimpleNamespace(
        objects=(), not_encoded=0, stage_ms={}, encoder_error=""
    )
    outputs = SimpleNamespace(publish=publish)
    return ObjectStage(finder, parameters, Mock(), outputs, Mock())


def test_an_offer_is_looked_at_however_it_meets_the_one_before(monkeypatch, caplog):
    slow = SimpleNamespace(**(vars(threading) | {"Event": Slow}))
    monkeypatch.setattr("concerto_ros.ros.stages.stage.threading", slow)
    seen = []
    stage = make_stage(seen.append)
    stage.start()
    for _ in range(3):
        stage.offer(SNAPSHOT, PREDICTION)
    stage.stop()
    assert stage.join(10.0) and seen
    assert not caplog.records, caplog.text


def test_the_thread_ends_if_it_is_told_to_while_it_takes_an_offer():
    asked = []

    class Parameters:
        @property
        def settings(self):
            if not asked:
                asked.append(stage.stop())
            return SETTINGS

    stage = make_stage(Mock(), Parameters())
    stage.start()
    stage.offer(SNAPSHOT, PREDICTION)
    assert stage.join(10.0)

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The thread of the object stage: offers and the end at any moment."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np

from concerto_ros.labels.label_set import SemanticClass
from concerto_ros.mapping.generation import Generation
from concerto_ros.mapping.map_snapshot import MapSnapshot
from concerto_ros.mapping.voxel_grid import pack
from concerto_ros.objects.finding.finder import ObjectFinder
from concerto_ros.ros.stages.object_stage import ObjectStage

SNAPSHOT = SimpleNamespace(
    index=np.zeros((1, 3), np.int64), points=np.zeros((1, 3), np.float32), voxel_size=0.04,
    stamp=1, colors=np.zeros((1, 3), np.float32), has_color=np.zeros(1, bool),
    first_seen=np.zeros(1, np.int64), generation=Generation(),
)  # fmt: skip
PREDICTION = SimpleNamespace(
    label=np.zeros(1, np.uint8), confidence=np.ones(1, np.float32), classes=(), unusable=None
)


SETTINGS = SimpleNamespace(
    inference=SimpleNamespace(nice=0),
    objects=SimpleNamespace(
        rate=1e9, classes=(), supports=(), min_voxels=1, embeddings=False, text_vectors=False
    ),
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
    return ObjectStage(finder, Mock(), parameters, Mock(), outputs, Mock())


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
            asked.append(None)
            if len(asked) == 2:  # the first is for the priority of the thread
                stage.stop()
            return SETTINGS

    stage = make_stage(Mock(), Parameters())
    stage.start()
    stage.offer(SNAPSHOT, PREDICTION)
    assert stage.join(10.0)


def test_voxels_without_a_finite_output_are_part_of_no_object():
    stage = make_stage(Mock())
    stage.start()
    snapshot = SimpleNamespace(**{**vars(SNAPSHOT), "generation": Generation()})
    stage.offer(snapshot, SimpleNamespace(**{**vars(PREDICTION), "unusable": np.ones(1, bool)}))
    wait_for(lambda: stage._finder.find.call_count)
    stage.stop()
    cloud = stage._finder.find.call_args.args[0]
    assert len(cloud.points) == len(cloud.label) == len(cloud.colors) == 0


def test_objects_of_a_map_that_was_cleared_meanwhile_are_not_published():
    published, statistics = [], Mock()
    stage = make_stage(published.append)
    stage._statistics = statistics
    generation, found = Generation(), stage._finder.find.return_value

    def clears_the_map(*_, **__):
        generation.end()
        return found

    stage._finder.find.side_effect = clears_the_map
    stage.start()
    stage.offer(SimpleNamespace(**{**vars(SNAPSHOT), "generation": generation}), PREDICTION)
    wait_for(lambda: statistics.outdated.call_count == 1)
    assert not published and stage.findings is None

    stage.offer(SimpleNamespace(**{**vars(SNAPSHOT), "generation": generation}), PREDICTION)
    wait_for(lambda: statistics.outdated.call_count == 2)  # not even searched
    assert stage._finder.find.call_count == 1

    stage._finder.find.side_effect = None
    current = Generation()
    stage.offer(SimpleNamespace(**{**vars(SNAPSHOT), "generation": current}), PREDICTION)
    wait_for(lambda: published)
    assert stage.findings is found and stage._finder.forget.call_count == 2
    current.end()
    assert stage.findings is None, "~/find_objects would answer with the forgotten map"
    stage.stop()


def test_ids_are_those_of_a_search_with_the_same_classes_in_the_same_map():
    track = SimpleNamespace(id=70_000, instance=SimpleNamespace(rows=np.array([0])))
    labels = SimpleNamespace(instance_age=3.0, layout="panoptic")
    parameters = SimpleNamespace(settings=SimpleNamespace(**vars(SETTINGS), labels=labels))
    published = []
    stage = make_stage(published.append, parameters)
    stage._finder.find.return_value.objects = [SimpleNamespace(track=track)]
    nothing, one, generation = np.zeros((1, 3), np.float32), np.ones(1, np.int64), Generation()
    index = np.zeros((1, 3), np.int32)
    snapshot = MapSnapshot(
        pack(index), index, nothing, nothing, np.zeros(1, bool), nothing, nothing, one, one, 1,
        np.zeros(3), 0.04, 1, generation=generation,
    )  # fmt: skip
    old, new = (SemanticClass(0, "chair", (0, 0, 0), 0),), (SemanticClass(0, "mug", (0, 0, 0), 0),)
    chairs, mugs = (SimpleNamespace(**{**vars(PREDICTION), "classes": c}) for c in (old, new))
    assert stage.ids_in(snapshot, chairs).tolist() == [0]
    stage.start()
    stage.offer(snapshot, chairs)
    wait_for(lambda: published)
    assert stage.ids_in(snapshot, chairs).tolist() == [70_000]
    assert stage._log.warning.called, "the panoptic packing has no room for it"
    assert stage.ids_in(snapshot, mugs).tolist() == [0]
    other = replace(snapshot, generation=Generation())
    assert stage.ids_in(other, chairs).tolist() == [0]
    stage.offer(snapshot, mugs)
    wait_for(lambda: len(published) == 2)
    assert stage.ids_in(snapshot, mugs).tolist() == [70_000]
    assert stage.ids_in(snapshot, chairs).tolist() == [0]
    stage.stop()


def wait_for(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)

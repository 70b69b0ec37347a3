# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Who waits for whom where cores are few: predictions for the intake of messages, and so on."""

from __future__ import annotations

import os
import sys
import threading

import pytest
from node_harness import ONE_CLOUD, START

from concerto_ros.ros.stages.object_stage import NICER

#: Threads of the node, the one that comes first first.
NAMES = ("intake", "inference", "objects")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority")


@pytest.mark.parametrize("steps", [0, 3])
def test_intake_comes_before_predictions_and_these_before_objects(harness, steps):
    one = harness(**ONE_CLOUD, **{"inference.nice": steps})
    one.listen_to_labels()
    one.start()
    one.labels_of_room(START)
    ids = {thread.name: thread.native_id for thread in threading.enumerate()}
    nice = {name: os.getpriority(os.PRIO_PROCESS, ids[name]) for name in NAMES}
    expected = (os.nice(0), os.nice(0) + steps, os.nice(0) + steps + NICER)
    assert nice == {name: min(n, 19) for name, n in zip(NAMES, expected, strict=True)}


def test_a_niceness_that_would_need_rights_is_refused(harness):
    one = harness(**(ONE_CLOUD | {"inference.nice": -1}))
    assert not one.configure()
    state = one.diagnosis("state")
    said = one.wait(lambda: (d := state()) and "inference.nice" in d.message and d, "the reason")
    assert "-1" in said.message and "0 to 19" in said.message

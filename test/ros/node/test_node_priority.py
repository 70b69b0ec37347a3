# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``inference.nice``: predictions wait for the intake of messages, not the other way round."""

from __future__ import annotations

import os
import sys
import threading

import pytest
from node_harness import ONE_CLOUD, START

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority")


@pytest.mark.parametrize("steps", [0, 3])
def test_the_thread_that_predicts_is_nicer_than_all_others_by_the_parameter(harness, steps):
    one = harness(**ONE_CLOUD, **{"inference.nice": steps})
    one.listen_to_labels()
    one.start()
    one.labels_of_room(START)
    ids = {thread.name: thread.native_id for thread in threading.enumerate()}
    nice = {name: os.getpriority(os.PRIO_PROCESS, ids[name]) for name in ("inference", "intake")}
    assert nice == {"inference": min(os.nice(0) + steps, 19), "intake": os.nice(0)}


def test_a_niceness_that_would_need_rights_is_refused(harness):
    one = harness(**(ONE_CLOUD | {"inference.nice": -1}))
    assert not one.configure()
    state = one.diagnosis("state")
    said = one.wait(lambda: (d := state()) and "inference.nice" in d.message and d, "the reason")
    assert "-1" in said.message and "0 to 19" in said.message

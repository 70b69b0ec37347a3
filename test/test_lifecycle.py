# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The node's life as a lifecycle manager drives it, by services."""

from __future__ import annotations

import pytest
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from node_harness import ONE_CLOUD, Harness


@pytest.fixture
def one(ros_context):
    harness = Harness(ros_context, **ONE_CLOUD)
    yield harness
    harness.close()


def test_a_transition_that_the_state_does_not_have_is_refused(one):
    client = one.robot.create_client(ChangeState, "/concerto/change_state")
    assert client.wait_for_service(20.0)

    def ask(transition: int) -> bool:
        request = ChangeState.Request(transition=Transition(id=transition))
        future = client.call_async(request)
        one.wait(future.done, f"an answer to transition {transition}")
        return future.result().success

    assert not ask(Transition.TRANSITION_ACTIVATE)
    assert ask(Transition.TRANSITION_CONFIGURE)
    assert not ask(Transition.TRANSITION_CONFIGURE)
    assert ask(Transition.TRANSITION_ACTIVATE)

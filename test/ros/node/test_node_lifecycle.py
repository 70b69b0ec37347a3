# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The node's life as a lifecycle manager drives it, by services."""

from __future__ import annotations

import pytest
import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from node_harness import ONE_CLOUD, START, Harness
from paths import REPOSITORY
from rclpy.lifecycle import TransitionCallbackReturn
from sensor_msgs.msg import PointCloud2

from concerto_ros.ros import node as node_module


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


@pytest.mark.parametrize(
    "fails",
    ["outputs.classes.ClassOutputs.publish", "stages.inference_stage.InferenceStage.start"],
)
def test_a_node_that_cannot_be_activated_can_be_configured_again(one, monkeypatch, fails):
    def fail(*_):
        raise RuntimeError("out of luck")

    assert one.configure()
    with monkeypatch.context() as patch:
        patch.setattr(f"concerto_ros.ros.{fails}", fail)
        assert one.node.trigger_activate() == TransitionCallbackReturn.ERROR
    state = one.diagnosis(": state")
    one.wait(lambda: (d := state()) and "a transition failed" in d.message, "the node to say so")
    assert one.node._state_machine.current_state[1] == "unconfigured"
    one.listen_to_labels()
    one.start()
    one.send_room()
    one.labels(START)


def test_diagnostics_tell_the_namespace_of_the_robot(ros_context):
    harness = Harness(ros_context, namespace="/robot1")
    try:
        state = harness.wait(harness.diagnosis(": state"), "diagnostics")
        assert state.name == "robot1/concerto: state"
    finally:
        harness.close()


@pytest.mark.parametrize("interrupted", [True, False])
def test_an_interrupt_while_starting_is_no_error(monkeypatch, ros_domain, interrupted):
    def start():
        if interrupted:
            rclpy.shutdown()
        raise RuntimeError("the given context is not valid")

    monkeypatch.setattr(node_module, "use_transport_profile", lambda: None)
    monkeypatch.setattr(node_module, "PerceptionNode", start)
    if interrupted:
        assert node_module.main(["node"]) == 0
    else:
        with pytest.raises(RuntimeError, match="context"):
            node_module.main(["node"])
    assert not rclpy.ok()


def test_an_encoder_without_a_head_becomes_active(harness):
    """Whoever wants features alone names a checkpoint and no head."""
    encoder = REPOSITORY / "test" / "golden" / "ptv3" / "single_room" / "encoder.pth"
    one = harness(**ONE_CLOUD, checkpoint=str(encoder))
    one.start()
    one.listen("/concerto/pca", PointCloud2)
    one.send_room()
    one.wait(lambda: one.received["/concerto/pca"], "features as colours")

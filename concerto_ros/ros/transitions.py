# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""An answer to every request for a transition."""

from __future__ import annotations

from rclpy.lifecycle import LifecycleNode


def answer_every_transition(node: LifecycleNode) -> None:
    """Let ``node`` refuse a transition that its state does not have, as nodes in C++ do.

    rclpy raises instead of answering, and the caller waits for ever.
    """
    change_state = node._service_change_state.callback

    def answer(request, response):
        before = node._state_machine.current_state
        try:
            return change_state(request, response)
        except RuntimeError as error:
            if node._state_machine.current_state != before:
                raise
            node.get_logger().warning(f"transition refused in state {before[1]}: {error}")
            response.success = False
            return response

    node._service_change_state.callback = answer

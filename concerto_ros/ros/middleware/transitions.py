# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Lifecycle transitions that always answer, and that undo what they did when they fail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rclpy.lifecycle import LifecycleNode, LifecyclePublisher


def answer_every_transition(node: LifecycleNode) -> None:
    """Let ``node`` answer a transition that its state does not allow with a failure, as rclcpp.

    rclpy raises an exception instead of answering, and the caller waits forever.
    """
    change_state = node._service_change_state.callback

    def answer(request: Any, response: Any) -> Any:
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


@contextmanager
def roll_back_on_error(node: LifecycleNode) -> Iterator[None]:
    """If the context ends with an exception, destroy the publishers and subscriptions made in it.

    This includes those of objects whose constructor raised, which nothing else refers to.
    """
    before = {*node.publishers, *node.subscriptions}
    try:
        yield
    except BaseException:
        for publisher in set(node.publishers) - before:
            if isinstance(publisher, LifecyclePublisher):
                node.destroy_lifecycle_publisher(publisher)
            else:
                node.destroy_publisher(publisher)
        for subscription in set(node.subscriptions) - before:
            node.destroy_subscription(subscription)
        raise

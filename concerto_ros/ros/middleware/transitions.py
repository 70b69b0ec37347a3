# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Transitions that are answered, and that leave nothing behind where they fail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

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


@contextmanager
def all_or_nothing(node: LifecycleNode) -> Iterator[None]:
    """Where something is raised inside, take away the publishers and subscriptions made inside.

    Also those of an object that was made halfway, of which nobody knows.
    """
    before = {*node.publishers, *node.subscriptions}
    try:
        yield
    except BaseException:
        for publisher in set(node.publishers) - before:
            node.destroy_lifecycle_publisher(publisher)
        for subscription in set(node.subscriptions) - before:
            node.destroy_subscription(subscription)
        raise

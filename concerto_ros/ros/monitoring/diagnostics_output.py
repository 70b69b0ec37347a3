# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Publishes ``/diagnostics``."""

from __future__ import annotations

import socket

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.duration import Duration
from rclpy.node import Node

from concerto_ros.ros.middleware.qos import overridable
from concerto_ros.ros.monitoring.diagnostics import Activity, diagnostics

#: Within which somebody who listens acknowledges a message.
_ACKNOWLEDGED_WITHIN = Duration(seconds=0.5)


class DiagnosticsOutput:
    """Publisher of ``/diagnostics``; it works in every state of the node."""

    def __init__(self, node: Node):
        self._node = node
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", **overridable(10))

    def publish(self, state: str, hardware_id: str, activity: Activity | None) -> None:
        """Publish the status of every task.

        Args:
            state: The node's state, see :func:`diagnostics`.
            hardware_id: Of every status; empty: the host name of the computer.
            activity: What the node did; None while it is not active.
        """
        # With the namespace, which distinguishes the nodes of several robots.
        name = self._node.get_fully_qualified_name().removeprefix("/")
        status = diagnostics(name, state, hardware_id or socket.gethostname(), activity)
        array = DiagnosticArray(status=status)
        array.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(array)

    def is_heard(self) -> bool:
        """Whether somebody listens and has what was published; always so if best effort."""
        listeners = self._publisher.get_subscription_count()
        return listeners > 0 and self._publisher.wait_for_all_acked(_ACKNOWLEDGED_WITHIN)

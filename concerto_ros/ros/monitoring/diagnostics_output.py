# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The topic on which diagnostics are published."""

from __future__ import annotations

import socket

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node

from concerto_ros.ros.middleware.qos import overridable
from concerto_ros.ros.monitoring.diagnostics import Activity, diagnostics


class DiagnosticsOutput:
    """Publisher of ``/diagnostics``, there in every state of the node."""

    def __init__(self, node: Node):
        self._node = node
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", **overridable(10))

    def publish(self, state: str, hardware_id: str, activity: Activity | None) -> None:
        """Tell in which ``state`` the node is, and its ``activity``, None where there is none.

        ``hardware_id``: what it runs on; empty: the name of the machine.
        """
        # With the namespace, which tells one robot's node from another's.
        name = self._node.get_fully_qualified_name().removeprefix("/")
        status = diagnostics(name, state, hardware_id or socket.gethostname(), activity)
        array = DiagnosticArray(status=status)
        array.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(array)

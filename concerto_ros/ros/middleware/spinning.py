# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""An executor that survives exceptions in callbacks."""

from __future__ import annotations

import traceback

from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node


def spin(node: Node) -> None:
    """Serve callbacks until the context is shut down; exceptions of callbacks are logged."""
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    while node.context.ok():
        try:
            executor.spin()
        except (KeyboardInterrupt, ExternalShutdownException):
            raise
        except Exception:
            node.get_logger().error(f"a callback failed:\n{traceback.format_exc()}")

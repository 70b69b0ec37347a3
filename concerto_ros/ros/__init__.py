# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The ROS 2 node and what surrounds it: the only folder with rclpy and message packages."""

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Subcommands that need ROS: the node, and programs that run beside it."""

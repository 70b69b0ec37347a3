# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Inputs and results in the viewer Rerun, live, from recordings and from files. No ROS needed."""

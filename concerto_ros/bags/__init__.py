# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Labels for recordings: the work of the node on a bag, without ROS and at full speed."""

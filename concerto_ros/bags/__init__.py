# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""rosbag2 and MCAP recordings without ROS: reader, writer, messages, discovery of inputs."""

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""3D semantic perception for ROS 2 robots with self-supervised point cloud encoders."""

# The generated ``concerto_ros.msg`` may be installed elsewhere than this source tree.
__path__ = __import__("pkgutil").extend_path(__path__, __name__)

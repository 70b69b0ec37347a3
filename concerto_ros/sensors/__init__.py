# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Sensor data to frames: PointCloud2, images, depth, cloud files; normals, free space, TF."""

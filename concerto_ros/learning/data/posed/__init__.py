# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Posed RGB-D images: fused point clouds, and which pixels see each of their points."""

#: How far the depth of a point may be from that of the image, as a fraction of it.
TOLERANCE = 0.05

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Posed RGB-D images: fused point clouds, and which pixels see each of their points."""

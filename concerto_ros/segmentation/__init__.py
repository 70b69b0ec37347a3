# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Semantic segmentation: from a map snapshot to features and a label for each voxel."""

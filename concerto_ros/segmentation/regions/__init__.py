# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Predicting only what changed: which voxels are due, and what was predicted of all others."""

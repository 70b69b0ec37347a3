# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Furniture and small objects that are built from simple shapes."""

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Simulated sensors that make the training scans of the bundled model."""

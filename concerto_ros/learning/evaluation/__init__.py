# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How well a model labels scans, and the report."""

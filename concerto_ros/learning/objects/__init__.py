# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Data sets of objects, and the protocols by which object encoders learn and are judged."""

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From messages to frames in the map, for the node and for bags."""

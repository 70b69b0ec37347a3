# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The demo: a robot or a bag through the node, with pictures and a score."""

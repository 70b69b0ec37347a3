# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The services of the node, and the listener to clicked points."""

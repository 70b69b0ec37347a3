# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is known before the node runs: its command line, its launch arguments, its view in RViz."""

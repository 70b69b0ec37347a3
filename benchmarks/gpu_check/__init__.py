# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a machine with a GPU computes and how fast: ``make gpu-check``."""

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pre-training and adapting of encoders on recordings without labels, and judging the result."""

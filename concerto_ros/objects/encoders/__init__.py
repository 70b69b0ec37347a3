# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Published object encoders, one folder per model, and how a file is loaded."""

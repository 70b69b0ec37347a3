# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Language heads: training from labelled scans and words, and measuring what words find."""

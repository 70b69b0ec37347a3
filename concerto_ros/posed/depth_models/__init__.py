# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Models that predict depth, and some poses, from colour images; none is ever downloaded here."""

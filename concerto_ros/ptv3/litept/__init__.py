# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""LitePT (Yue et al., 2025): convolutions in the early stages, attention in the late ones."""

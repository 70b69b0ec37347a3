# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Serialization, neighbours and sparse convolution, with their optional accelerators."""

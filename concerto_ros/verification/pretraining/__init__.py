# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Verification of the pre-training on reference cases."""

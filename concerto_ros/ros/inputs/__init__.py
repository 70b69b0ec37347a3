# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Subscriptions and transforms: how messages reach the intake."""

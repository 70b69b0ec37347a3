# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Concerto's self-supervised pre-training: its method, one step of it in each module."""

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Kernels in Triton; each computes what a function in plain PyTorch does."""

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Checks of Triton's kernels against PyTorch, a module for each; see ``__main__``."""

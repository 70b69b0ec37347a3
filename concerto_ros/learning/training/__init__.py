# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The training loop, its optimizers, losses and processes."""

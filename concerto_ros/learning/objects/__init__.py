# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Data sets of objects, and training and evaluation of object encoders on them."""

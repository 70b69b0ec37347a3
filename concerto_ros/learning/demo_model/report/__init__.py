# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Accuracy and speed of the bundled models, and the page that says them."""

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The floating-point half of an encoder as a file that runs without this package."""

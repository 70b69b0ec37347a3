# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of clouds and label sets, drawn with numpy and Pillow."""

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""MixCon3D and OpenShape: point clouds in the space of CLIP."""

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Training of MixCon3D: clouds, pictures and texts of the same shape in one space."""

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Files that hold depth, poses or intrinsics: of COLMAP, TUM's format, ScanNet's layout."""

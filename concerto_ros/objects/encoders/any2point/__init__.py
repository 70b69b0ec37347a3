# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Any2Point: point clouds through transformers trained on other modalities."""

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Training of object encoders: fine-tuning, embedding, parts, pre-training."""

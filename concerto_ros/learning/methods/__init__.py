# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Training methods on labelled scans: linear head, decoder, LoRA, full fine-tuning."""

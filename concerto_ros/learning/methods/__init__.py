# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What can be trained on labelled scans: head, decoder, LoRA, the whole encoder."""

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Training: labelled scans, training of heads and encoders, evaluation."""

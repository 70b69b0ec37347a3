# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Times and memory of the encoder and the node on this machine: ``make bench``."""

from __future__ import annotations

import concerto_ros  # noqa: F401  before PyTorch: it sets how threads wait

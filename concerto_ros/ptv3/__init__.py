# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Point Transformer V3 encoders in plain PyTorch: Sonata, Concerto and Utonia checkpoints."""

from __future__ import annotations

from concerto_ros.ptv3.checkpoint import CheckpointError, load_encoder
from concerto_ros.ptv3.config import ConfigError, PTv3Config
from concerto_ros.ptv3.encoder import Encoder, Pyramid, PyramidLevel
from concerto_ros.ptv3.hierarchy import Hierarchy, Level, build_hierarchy

__all__ = [
    "CheckpointError",
    "ConfigError",
    "Encoder",
    "Hierarchy",
    "Level",
    "PTv3Config",
    "Pyramid",
    "PyramidLevel",
    "build_hierarchy",
    "load_encoder",
]

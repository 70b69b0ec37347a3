# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A head to which every scene is unfamiliar."""

from __future__ import annotations

from pathlib import Path

from concerto_ros.heads import LinearHead
from concerto_ros.heads.linear import save_head


def strange_head(path: Path, preset: str = "indoor") -> Path:
    """The bundled head, with no distance at which features are familiar."""
    head = LinearHead.load("demo", preset=preset)
    assert head.familiarity is not None
    head.familiarity.threshold.fill_(0.0)
    save_head(path, head)
    return path

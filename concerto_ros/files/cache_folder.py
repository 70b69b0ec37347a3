# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The folder of files that can be made or downloaded again."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return ``$XDG_CACHE_HOME/concerto_ros``, by default ``~/.cache/concerto_ros``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "concerto_ros"

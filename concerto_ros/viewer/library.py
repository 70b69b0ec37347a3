# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Rerun, the library of the viewer: an extra, imported when it is first needed."""

from __future__ import annotations

from functools import cache
from typing import Any


@cache
def rerun_library() -> Any:
    """Return the module ``rerun``, set to raise its errors instead of logging them.

    Raises:
        ImportError: It is not installed; the text says how to install it.
    """
    try:
        import rerun
        import rerun.blueprint
    except ImportError as error:
        raise ImportError(
            "the viewer needs the package rerun-sdk: pip install 'concerto_ros[view]'"
        ) from error
    rerun.set_strict_mode(True)
    return rerun

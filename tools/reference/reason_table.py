# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Why a message is not used."""

from __future__ import annotations

from pathlib import Path

from markdown import code, prose, table


def reason_blocks(_root: Path) -> dict[str, str]:
    """The reasons and what a person can do about each."""
    from concerto_ros.sensors.input_error import REASONS

    rows = [(code(reason), prose(text)) for reason, text in REASONS.items()]
    return {"reasons": table(("reason", "what it means"), rows)}

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What people call a model of a furniture library: its kind, or its catalogue's name."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import yaml

#: Value of a rule's ``name`` in ``kinds.yaml`` where the kind is a collection of things.
CATALOGUE = "catalogue"

_EVERYDAY = Path(__file__).with_name("names.yaml")


def piece_name(kind: str, rule_name: str, entry_name: str) -> str:
    """The everyday name of a model.

    Args:
        kind: Its kind, e.g. ``coffee table``.
        rule_name: The name in its rule; empty: the kind. :data:`CATALOGUE`: that of the catalogue.
        entry_name: Its name in the catalogue, e.g. ``Apple iMac 1998``.
    """
    if rule_name != CATALOGUE:
        return rule_name or kind
    texts = (entry_name, f"{kind}/{entry_name}")
    for name, patterns in _everyday().items():
        if any(re.fullmatch(p, text, re.IGNORECASE) for p in patterns for text in texts):
            return name
    return entry_name.lower() or kind


@cache
def _everyday() -> dict[str, list[str]]:
    return yaml.safe_load(_EVERYDAY.read_text(encoding="utf-8"))

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Heads on encoder features: linear, language, PCA colours, similarity, taught classes."""

from __future__ import annotations

from concerto_ros.heads.language import LanguageHead
from concerto_ros.heads.linear import LinearHead

__all__ = ["LanguageHead", "LinearHead"]

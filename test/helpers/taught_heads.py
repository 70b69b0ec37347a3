# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Linear heads with classes that were taught by examples."""

from __future__ import annotations

from concerto_ros.heads import LinearHead
from concerto_ros.heads.added_rows import Examples, fitted_rows
from concerto_ros.labels.label_set import LabelSet


def taught_head(base: LinearHead, examples: dict[int, Examples]) -> LinearHead:
    """``base`` with a fitted row for each label of ``examples``; its classes are numbered."""
    rows = fitted_rows(base.feature_logits, base.num_classes, examples)
    count = max(base.num_classes, *(label + 1 for label in examples))
    return base.with_rows(rows, LabelSet.from_generic(count))

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Label sets and predictions: filters, the clouds made of them, confusion matrix."""

from concerto_ros.labels.label_set import UNLABELLED, LabelSet, SemanticClass

__all__ = ["UNLABELLED", "LabelSet", "SemanticClass"]

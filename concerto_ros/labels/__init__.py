# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Labels: label sets, predictions, filters, packed clouds and the confusion matrix."""

from concerto_ros.labels.label_set import UNLABELLED, LabelSet, SemanticClass

__all__ = ["UNLABELLED", "LabelSet", "SemanticClass"]

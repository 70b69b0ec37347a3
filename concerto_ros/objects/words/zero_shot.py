# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Zero-shot classification of objects: the names of ScanObjectNN, prompts and scores."""

from __future__ import annotations

from concerto_ros.words.prompts import name_alone, prompts
from concerto_ros.words.vocabulary import class_vectors, cosine_scores

__all__ = [
    "SCANOBJECTNN_CLASSES",
    "SCANOBJECTNN_NAMES",
    "class_vectors",
    "cosine_scores",
    "name_alone",
    "prompts",
]

#: The classes of ScanObjectNN in label order.
SCANOBJECTNN_NAMES = (
    "bag",
    "bin",
    "box",
    "cabinet",
    "chair",
    "desk",
    "display",
    "door",
    "shelf",
    "table",
    "bed",
    "pillow",
    "sink",
    "sofa",
    "toilet",
)

#: What ReCon's published protocol asks about in their place: the last is misspelt.
SCANOBJECTNN_CLASSES = (*SCANOBJECTNN_NAMES[:-1], "toile")

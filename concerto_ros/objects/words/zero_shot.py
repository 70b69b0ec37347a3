# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Zero-shot classification by words: prompts, class vectors from text features, scores."""

from __future__ import annotations

import torch
from torch import nn

#: What ReCon puts before and after the name of a class.
PICTURES = (
    "model",
    "image",
    "3D model",
    "rendering model",
    "point cloud",
    "point cloud model",
    "3D rendering model",
    "rendering image",
    "3D rendering image",
)
PREFIXES = (
    "",
    "A ",
    *(prefix for name in PICTURES for prefix in (f"A {name} of ", f"A {name} of a ")),
)
SUFFIXES = (".", " with white background.", " with black context.")

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


def prompts(name: str) -> list[str]:
    """Return ReCon's 60 prompts about a class, all prefixes with one suffix after the other."""
    return [f"{prefix}{name}{suffix}" for suffix in SUFFIXES for prefix in PREFIXES]


def name_alone(name: str) -> list[str]:
    """Return nothing but the name, the prompt of OpenShape's released extractor."""
    return [name]


def class_vectors(text_features: torch.Tensor) -> torch.Tensor:
    """Sum features (K, P, D) of P prompts of each of K classes to (K, D), without weights."""
    return text_features.sum(1)


def cosine_scores(features: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    """Compute (B, K) cosines of objects (B, D) and classes (K, D), both not normalised."""
    return nn.functional.normalize(features, dim=-1) @ nn.functional.normalize(vectors, dim=-1).T

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A text space that needs no text encoder: each class of the bundled linear head is an axis.

With it words label exactly as the linear head does.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from concerto_ros.heads import LanguageHead, LinearHead
from concerto_ros.heads.language import save_language_head
from concerto_ros.heads.scoring import Scoring, Softmax
from concerto_ros.labels.label_set import LabelSet
from concerto_ros.sim import Room
from concerto_ros.words.vocabulary import Vocabulary

CLASSES = tuple(entry.name for entry in LabelSet.load("demo").classes)

#: A text encoder that is nowhere installed: all its vectors come from a table.
ENCODER = "open_clip:classes/none"

#: Probabilities that are neither alike nor all 0 or 1.
PROBABLE = Softmax(0.1)

#: Words beside the names of the classes, each with the class that it means.
SYNONYMS = {"couch": "sofa", "seat": "chair", "ground": "floor", "something to sit on": "chair"}


def language_head(
    contrast: Sequence[str] = (), scoring: Scoring = PROBABLE, threshold: float = 0.0
) -> LanguageHead:
    """The bundled linear head as a language head."""
    linear = LinearHead.load("demo")
    head = LanguageHead(linear.in_channels, linear.num_classes, name="classes")
    head.weight.data, head.bias.data = linear.seg_head.weight, linear.seg_head.bias
    head.text_encoder, head.contrast = ENCODER, tuple(contrast)
    head.scoring, head.threshold = scoring, threshold
    return head.eval().requires_grad_(False)


class ClassVectors:
    """The vectors of the names of the classes and of their synonyms."""

    def of(self, words: Sequence[str]) -> Vocabulary:
        """Return the vectors of words; ``a|b`` is called a."""
        names = tuple(word.split("|")[0] for word in words)
        return Vocabulary(names, torch.stack([_vector(name) for name in names]), ENCODER)


def _vector(name: str) -> torch.Tensor:
    if SYNONYMS.get(name, name) not in CLASSES:
        raise ValueError(f"no vector of {name!r}")
    return 2 * torch.eye(len(CLASSES))[CLASSES.index(SYNONYMS.get(name, name))]


def word_parameters(folder: Path, contrast: Sequence[str] = CLASSES) -> dict[str, str]:
    """The parameters of a node or pipeline that knows these words, by files in ``folder``."""
    head, names = language_head(contrast), (*CLASSES, *SYNONYMS)
    head.template = "{name}"
    save_language_head(folder / "head.safetensors", head)
    table = Vocabulary(names, ClassVectors().of(names).vectors, head.text_encoder, head.template)
    table.save(folder / "table.npz")
    return {
        "words.head": str(folder / "head.safetensors"),
        "words.table": str(folder / "table.npz"),
    }


def office_scan(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """What a sensor in the middle of an office sees along ``size`` rays.

    Returns:
        Points (n, 3) metres, colours 0..255, unit normals, and (n,) true classes of ``Room``.
    """
    rays = np.random.default_rng(1).normal(size=(size, 3)).astype(np.float32)
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    eye = np.array([0.0, 0.0, 1.4], np.float32)
    scene = Room(1, "office")
    hits = scene.cast(eye, rays)
    points = eye + rays * hits.distance[:, None]
    every = points, scene.colors(hits).T, scene.normals(hits), scene.labels(hits)
    points, colors, normals, label = (values[hits.hit] for values in every)
    return points, colors.astype(np.uint8), normals, label

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What all object encoders have in common."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from concerto_ros.objects.encoders.shared.preprocess import InputForm, prepare_object

#: Under which name a file of ours keeps the names of its classes, beside the state dict.
NAMES = "class_names"

#: The answer of a class that is no name: an encoder that has it may say that it knows nothing.
NONE_OF_THESE = "none of these"

#: Stands in place of a path for the encoder that comes with the package.
DEMO = "demo"


class ObjectEncoder(nn.Module, ABC):
    """One vector, and with a head one answer, for a whole object.

    Attributes
    ----------
    name: the model, a key of :data:`MODELS`.
    form: what it takes.
    feature_channels: width of :meth:`embed`.
    classes: how many the head tells apart; None without a head.
    class_names: their names in label order; empty where the file does not tell them.
    per_object: whether the answer for an object is independent of the others in its batch.
    """

    name: str
    form: InputForm
    feature_channels: int
    classes: int | None
    class_names: tuple[str, ...] = ()
    per_object: bool = True

    @property
    def points(self) -> int:
        """How many points of an object it takes."""
        return self.form.points

    def prepare(self, points: np.ndarray, colors: np.ndarray | None = None) -> torch.Tensor:
        """One object ready to be stacked into a batch: (n, 3) or (n, 6) float32.

        points: (N, 3) metres, z up, in any frame of the robot. colors: (N, 3) 0..255. Raises
        ValueError as :func:`~concerto_ros.objects.encoders.shared.preprocess.prepare_object` does.
        """
        return prepare_object(points, colors, self.form)

    @abstractmethod
    def embed(self, batch: torch.Tensor) -> torch.Tensor:
        """(B, n, 3 or 6) -> (B, feature_channels): what heads and few examples build on."""

    @abstractmethod
    def classify(self, batch: torch.Tensor) -> torch.Tensor:
        """(B, n, 3 or 6) -> (B, classes) logits. Raises ValueError without a head."""

    @property
    def knows_words(self) -> bool:
        """Whether the model and its file were trained with texts."""
        return False

    def embed_words(self, batch: torch.Tensor) -> torch.Tensor:
        """(B, n, 3 or 6) -> (B, D) to be compared by cosine with :meth:`project_words` of texts.

        Raises ValueError for a model or file that was not trained with texts.
        """
        raise ValueError(f"{self.name} knows no words; wanted recon or mixcon3d")

    def project_words(self, texts: torch.Tensor) -> torch.Tensor:
        """(K, D) vectors of a text encoder as the model compares them."""
        return texts


def check_options(what: str, function: Callable, options: Mapping[str, Any]) -> None:
    """Raise ValueError for options that ``function`` does not take as keywords, or, of text and
    whole numbers, not of that type. ``what`` is said to be refusing them."""
    known = {
        name: str(parameter.annotation)
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    for name, value in options.items():
        if name not in known:
            raise ValueError(f"{what} takes no keyword {name!r}, wanted one of {', '.join(known)}")
        kinds = known[name].split(" | ")
        if isinstance(value, (str, int)) and type(value).__name__ not in kinds:
            wanted = " or ".join(kind for kind in kinds if kind != "None")
            raise ValueError(f"{what}: {name} is {value!r}, wanted {wanted}")

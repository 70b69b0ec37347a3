# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What all object encoders have in common."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from concerto_ros.objects.encoders.shared.benchmarks import Benchmark
from concerto_ros.objects.encoders.shared.preprocess import InputForm, prepare_object
from concerto_ros.objects.encoders.shared.weights import State

#: Under which name a file of ours keeps the names of its classes, beside the state dict.
NAMES = "class_names"

#: The answer of a class that is no name: an encoder that has it may say that it knows nothing.
NONE_OF_THESE = "none of these"

#: Stands in place of a path for the encoder that comes with the package.
DEMO = "demo"


class ObjectEncoder(nn.Module, ABC):
    """One vector, and with a head one answer, for a whole object.

    An encoder also states what its authors published about training and evaluating it, as plain
    data; ``concerto_ros.learning.objects`` does the training and the evaluation.

    Attributes
    ----------
    name: the model, a key of :data:`~concerto_ros.objects.encoders.loading.MODELS`.
    form: what it takes.
    feature_channels: width of :meth:`embed`.
    classes: how many the head tells apart; None without a head.
    class_names: their names in label order; empty where the file does not tell them.
    per_object: whether the answer for an object is independent of the others in its batch.
    head_name: the module that is its head.
    training_methods: how its authors trained it with a head: ``full``, ``mlp3``, ``linear``,
        ``adapters``, see ``METHODS`` of ``concerto_ros.learning.objects.training.recipes``.
    """

    name: str
    form: InputForm
    feature_channels: int
    classes: int | None
    class_names: tuple[str, ...] = ()
    per_object: bool = True
    head_name: ClassVar[str] = "head"
    training_methods: ClassVar[tuple[str, ...]] = ()

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
        raise ValueError(f"{self.name} knows no words; expected recon or mixcon3d")

    def project_words(self, texts: torch.Tensor) -> torch.Tensor:
        """(K, D) vectors of a text encoder as the model compares them."""
        return texts

    def published_state(self) -> State:
        """The state dict in the names of official fine-tuned files."""
        return self.state_dict()

    def reset_head(
        self, classes: int, method: str = "full", benchmark: Benchmark = Benchmark.OTHER
    ) -> None:
        """A new head, untrained, for ``classes`` in place of any other, to train by ``method``.

        Weights come from PyTorch's generator. Raises ValueError for an encoder whose head is part
        of its file and has another number of classes.
        """
        if self.classes != classes:
            raise ValueError(
                f"{self.name} answers with {self.classes} classes, expected {classes}"
            )

    def trained_parameters(self, method: str) -> dict[str, nn.Parameter]:
        """What a method trains, by name: everything, or the head.

        Raises ValueError for ``adapters`` where there are none.
        """
        if method == "adapters":
            raise ValueError(f"{self.name} has no adapters; expected any2point")
        trained = "" if method == "full" else f"{self.head_name}."
        named = self.named_parameters()
        return {name: value for name, value in named if name.startswith(trained)}

    @classmethod
    def fine_tuning(
        cls, method: str, benchmark: Benchmark, points: int | None, few_shot: bool
    ) -> dict[str, Any]:
        """Hyper-parameters of one of :attr:`training_methods`: the fields of ``Recipe`` that are
        not at its defaults. Data without published ones get those of ScanObjectNN.

        points: how many the encoder takes of an object; None for what most recipes are for.
        """
        raise NotImplementedError(f"{cls.name} has no training methods")

    @classmethod
    def linear_svm(cls, benchmark: Benchmark) -> dict[str, Any]:
        """Fields of ``SvmRecipe``: ReCon's for ModelNet40 where nothing else is published."""
        return {"one_vs_one": False, "c": 0.075}

    @classmethod
    def published_options(cls, benchmark: Benchmark, protocol: str) -> dict[str, Any]:
        """Keywords for loading it that files do not tell, as published for a benchmark.

        protocol: one of ``PROTOCOLS`` of ``concerto_ros.learning.objects.training.models``.
        """
        return {}

    @classmethod
    def word_options(cls, benchmark: Benchmark) -> dict[str, Any]:
        """Keywords of :meth:`embed_words` as published for zero-shot on a benchmark."""
        return {}


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
            raise ValueError(
                f"{what} takes no keyword {name!r}, expected one of {', '.join(known)}"
            )
        kinds = known[name].split(" | ")
        if isinstance(value, (str, int)) and type(value).__name__ not in kinds:
            wanted = " or ".join(kind for kind in kinds if kind != "None")
            raise ValueError(f"{what}: {name} is {value!r}, expected {wanted}")

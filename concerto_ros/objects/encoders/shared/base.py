# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The interface of all object encoders."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy.typing as npt
import torch
from torch import nn

from concerto_ros.objects.encoders.shared.benchmarks import Benchmark
from concerto_ros.objects.encoders.shared.preprocess import InputForm, prepare_object
from concerto_ros.objects.encoders.shared.weights import State
from concerto_ros.sensors.array_frame import checked_colors, checked_points

#: Entry of a file of this package with the names of its classes, beside the state dict.
NAMES = "class_names"

#: Class of an encoder that can also reject an object as belonging to no other class.
NONE_OF_THESE = "none of these"

#: Replaces a path for the encoder that comes with the package.
DEMO = "demo"


class ObjectEncoder(nn.Module, ABC):
    """One vector, and with a head one classification, for a whole object.

    An encoder also states what its authors published about training and evaluating it, as plain
    data; ``concerto_ros.learning.objects`` does the training and the evaluation.

    Attributes:
        name: The model, a key of :data:`~concerto_ros.objects.encoders.loading.MODELS`.
        form: The input that the encoder takes.
        feature_channels: Width of :meth:`embed`.
        classes: Number of classes of the head; None without a head.
        class_names: Their names in label order; empty where the file does not store them.
        per_object: Whether the result for an object is independent of the others in its batch.
        head_name: Name of the module that is the head.
        training_methods: How its authors trained it with a head: ``full``, ``mlp3``, ``linear``,
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
        """How many points of an object the encoder takes."""
        return self.form.points

    def prepare(self, points: npt.ArrayLike, colors: npt.ArrayLike | None = None) -> torch.Tensor:
        """Prepare one object to be stacked into a batch: (n, 3) or (n, 6) float32.

        Args:
            points: (N, 3) metres, z up, in any frame of the robot.
            colors: (N, 3) RGB or (N, 4) RGBA as fractions, 8 or 16 bits, see
                :func:`~concerto_ros.sensors.colors.rgb_bytes`; None for no colour.

        Raises:
            ValueError: An array has another shape, type or unit, or as of
                :func:`~concerto_ros.objects.encoders.shared.preprocess.prepare_object`.
        """
        points = checked_points(points)
        return prepare_object(points, checked_colors(colors, len(points)), self.form)

    @abstractmethod
    def embed(self, batch: torch.Tensor) -> torch.Tensor:
        """Embed (B, n, 3 or 6) as (B, feature_channels), the input of heads and few-shot."""

    @abstractmethod
    def classify(self, batch: torch.Tensor) -> torch.Tensor:
        """Classify (B, n, 3 or 6): (B, classes) logits.

        Raises:
            ValueError: If the encoder has no head.
        """

    @property
    def knows_words(self) -> bool:
        """Whether the model and its file were trained with texts."""
        return False

    def embed_words(self, batch: torch.Tensor) -> torch.Tensor:
        """Embed (B, n, 3 or 6) as (B, D), for cosines with :meth:`project_words` of texts.

        Raises:
            ValueError: If the model or file was not trained with texts.
        """
        raise ValueError(f"{self.name} was not trained with words; expected recon or mixcon3d")

    def project_words(self, texts: torch.Tensor) -> torch.Tensor:
        """Project (K, D) vectors of a text encoder to what the model compares."""
        return texts

    def published_state(self) -> State:
        """Return the state dict in the names of official fine-tuned files."""
        return self.state_dict()

    def stored_facts(self) -> dict[str, Any]:
        """Return what a file needs beside the weights, because no shape tells it, by name."""
        return {}

    def reset_head(
        self, classes: int, method: str = "full", benchmark: Benchmark = Benchmark.OTHER
    ) -> None:
        """Put an untrained head for ``classes`` in place of any other.

        Weights come from PyTorch's global generator.

        Args:
            classes: Number of classes.
            method: The training method, one of :attr:`training_methods`.
            benchmark: What the head is for.

        Raises:
            ValueError: If the head is part of the encoder's file and has another number of
                classes.
        """
        if self.classes != classes:
            raise ValueError(
                f"the head of {self.name} has {self.classes} classes, expected {classes}"
            )

    def trained_parameters(self, method: str) -> dict[str, nn.Parameter]:
        """Select the parameters that a method trains, by name: everything, or the head.

        Raises:
            ValueError: If ``method`` is ``adapters`` and the encoder has no adapters.
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
        """Return the published hyper-parameters of one of :attr:`training_methods`.

        These are the fields of ``ObjectTrainingConfig`` that differ from its defaults. Data
        without published hyper-parameters get those of ScanObjectNN.

        Args:
            method: One of :attr:`training_methods`.
            benchmark: The data set.
            points: Points of an object; None for the number that most recipes use.
            few_shot: Whether it is for few-shot folds.

        Raises:
            NotImplementedError: If nobody published a training of this encoder.
        """
        raise NotImplementedError(f"{cls.name} has no training methods")

    @classmethod
    def linear_svm(cls, benchmark: Benchmark) -> dict[str, Any]:
        """Return fields of ``SvmRecipe``: ReCon's for ModelNet40 where no other is published."""
        return {"one_vs_one": False, "c": 0.075}

    @classmethod
    def published_options(cls, benchmark: Benchmark, protocol: str) -> dict[str, Any]:
        """Return the loading options that files do not store, as published for a benchmark.

        Args:
            benchmark: The data set.
            protocol: One of ``PROTOCOLS`` of ``concerto_ros.learning.objects.training.models``.
        """
        return {}

    @classmethod
    def vote_change(cls, benchmark: Benchmark) -> str | None:
        """Name the augmentation of the published vote over views of an object; None for none.

        One of ``VOTE_CHANGES`` of ``concerto_ros.learning.objects.training.view_voting``.
        """
        return None

    @classmethod
    def word_options(cls, benchmark: Benchmark) -> dict[str, Any]:
        """Return options of :meth:`embed_words` as published for zero-shot on a benchmark."""
        return {}


def check_options(what: str, function: Callable, options: Mapping[str, Any]) -> None:
    """Check that ``function`` takes these options as keywords.

    Args:
        what: Who refuses the options, for the error message.
        function: Its keyword-only parameters and their annotations are what is accepted.
        options: Values by name; only those of text and whole numbers are checked by type.

    Raises:
        ValueError: If an option is unknown or of the wrong type.
    """
    known = {
        name: str(parameter.annotation)
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    for name, value in options.items():
        if name not in known:
            raise ValueError(
                f"{what} takes no option {name!r}, expected one of {', '.join(known)}"
            )
        types = known[name].split(" | ")
        if isinstance(value, (str, int)) and type(value).__name__ not in types:
            expected = " or ".join(kind for kind in types if kind != "None")
            raise ValueError(f"{what}: {name} is {value!r}, expected {expected}")

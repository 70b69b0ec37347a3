# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What all object encoders have in common, and how one is loaded."""

from __future__ import annotations

import importlib
import inspect
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from concerto_ros.objects.preprocess import InputForm, prepare_object
from concerto_ros.objects.weights import State, find_state, read_content
from concerto_ros.ptv3.checkpoint import CheckpointError

#: Each model's module. It has ``matches(state) -> bool``, whether the names are those of its
#: files, and ``from_state(state, path, content, **options) -> ObjectEncoder``; ``content`` is the
#: whole file, for what lies beside the state dict.
MODELS = {
    "recon": "concerto_ros.objects.recon",
    "i2p_mae": "concerto_ros.objects.i2p_mae",
    "mixcon3d": "concerto_ros.objects.mixcon3d",
    "any2point": "concerto_ros.objects.any2point",
}

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
        ValueError as :func:`~concerto_ros.objects.preprocess.prepare_object` does.
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


def load_object_encoder(
    path: str | os.PathLike, /, model: str | None = None, **options: Any
) -> ObjectEncoder:
    """An encoder from a published file, on the CPU, in evaluation mode, float32.

    ``demo`` for a path is the small one that comes with the package
    (:mod:`concerto_ros.objects.demo`); it takes no options. The model is told by the names in the
    file; ``model`` (a key of :data:`MODELS`) insists on one. ``options`` are what names and shapes
    of a file do not tell, see the model's ``from_state``.

    Raises CheckpointError (a ValueError) for a file that cannot be read or is of another model,
    ValueError for options that its model does not take.
    """
    if model is not None and model not in MODELS:
        raise ValueError(f"model is {model!r}, wanted one of {', '.join(MODELS)}")
    if os.fspath(path) == DEMO:
        if model not in (None, "recon") or options:
            raise ValueError(f"{DEMO} is of recon and takes no options, got {model!r}, {options}")
        from concerto_ros.objects.demo import load_demo

        return load_demo()
    content = read_content(path)
    state = find_state(content, path)
    found = recognise(state)
    if found is None:
        raise CheckpointError(
            f"{path} is of no object encoder known here ({', '.join(MODELS)}); it begins with"
            f" {', '.join(list(state)[:3])}"
        )
    if model not in (None, found):
        raise CheckpointError(f"{path} is a checkpoint of {found}, wanted one of {model}")
    module = importlib.import_module(MODELS[found])
    check_options(found, module.from_state, options)
    try:
        encoder = module.from_state(state, Path(path), content, **options)
    except KeyError as error:  # a name from which the model's sizes are read
        raise CheckpointError(
            f"{path} is no whole checkpoint of {found}; missing: {error}"
        ) from error
    encoder.class_names = _names(content.get(NAMES), encoder.classes)
    return encoder.eval().requires_grad_(False)


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


def _names(found: Any, classes: int | None) -> tuple[str, ...]:
    """Names of classes out of a file of ours; none where it has none that fit."""
    if not isinstance(found, list) or len(found) != classes:
        return ()
    return tuple(map(str, found))


def recognise(state: State) -> str | None:
    """The model whose files have such names, a key of :data:`MODELS`."""
    for name, module in MODELS.items():
        if importlib.import_module(module).matches(state):
            return name
    return None

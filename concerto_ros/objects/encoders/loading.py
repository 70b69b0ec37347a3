# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Loading of an object encoder from a published file, whichever model it holds."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

from concerto_ros.objects.encoders.shared.base import DEMO, NAMES, ObjectEncoder, check_options
from concerto_ros.objects.encoders.shared.weights import State, find_state, read_content
from concerto_ros.ptv3.checkpoint import CheckpointError

#: Each model's module. It has ``matches(state) -> bool``, whether the names are those of its
#: files, and ``from_state(state, path, content, **options) -> ObjectEncoder``; ``content`` is the
#: whole file, for entries beside the state dict.
MODELS = {
    "recon": "concerto_ros.objects.encoders.recon.encoder",
    "i2p_mae": "concerto_ros.objects.encoders.i2p_mae.encoder",
    "mixcon3d": "concerto_ros.objects.encoders.mixcon3d.encoder",
    "any2point": "concerto_ros.objects.encoders.any2point.encoder",
}


def load_object_encoder(
    path: str | os.PathLike, /, model: str | None = None, **options: Any
) -> ObjectEncoder:
    """Load an encoder from a published file: on the CPU, in evaluation mode, float32.

    Args:
        path: The file. ``demo`` for the small encoder that comes with the package
            (:mod:`concerto_ros.objects.encoders.demo_encoder`), which takes no options.
        model: A key of :data:`MODELS` that the file has to be of; None to detect the model from
            the names in the file.
        options: What names and shapes of a file do not determine, see ``from_state`` of the model.

    Raises:
        CheckpointError: If the file cannot be read or holds another model (it is a ValueError).
        ValueError: If the model does not take one of the options.
    """
    if model is not None and model not in MODELS:
        raise ValueError(f"model is {model!r}, expected one of {', '.join(MODELS)}")
    if os.fspath(path) == DEMO:
        if model not in (None, "recon") or options:
            raise ValueError(
                f"{DEMO} is a model of recon and takes no options, got model {model!r} and options"
                f" {options}"
            )
        from concerto_ros.objects.encoders.demo_encoder import load_demo

        return load_demo()
    content = read_content(path)
    state = find_state(content, path)
    found = recognise(state)
    if found is None:
        raise CheckpointError(
            f"{path} is a checkpoint of an unknown model, expected one of {', '.join(MODELS)};"
            f" its first parameters are {', '.join(list(state)[:3])}"
        )
    if model not in (None, found):
        raise CheckpointError(f"{path} is a checkpoint of {found}, expected one of {model}")
    module = importlib.import_module(MODELS[found])
    check_options(found, module.from_state, options)
    try:
        encoder = module.from_state(state, Path(path), content, **options)
    except KeyError as error:  # a name from which the model's sizes are read
        raise CheckpointError(
            f"{path} is an incomplete checkpoint of {found}; missing: {error}"
        ) from error
    encoder.class_names = _names(content.get(NAMES), encoder.classes)
    return encoder.eval().requires_grad_(False)


def _names(found: Any, classes: int | None) -> tuple[str, ...]:
    """Return the class names stored in a file of this package; () where they do not match."""
    if not isinstance(found, list) or len(found) != classes:
        return ()
    return tuple(map(str, found))


def recognise(state: State) -> str | None:
    """Detect the model from the names of its files: a key of :data:`MODELS`, None if unknown."""
    for name, module in MODELS.items():
        if importlib.import_module(module).matches(state):
            return name
    return None

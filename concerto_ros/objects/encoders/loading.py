# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Loads an object encoder from a published file, whichever model it is of."""

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
#: whole file, for what lies beside the state dict.
MODELS = {
    "recon": "concerto_ros.objects.encoders.recon.encoder",
    "i2p_mae": "concerto_ros.objects.encoders.i2p_mae.encoder",
    "mixcon3d": "concerto_ros.objects.encoders.mixcon3d.encoder",
    "any2point": "concerto_ros.objects.encoders.any2point.encoder",
}


def load_object_encoder(
    path: str | os.PathLike, /, model: str | None = None, **options: Any
) -> ObjectEncoder:
    """An encoder from a published file, on the CPU, in evaluation mode, float32.

    ``demo`` for a path is the small one that comes with the package
    (:mod:`concerto_ros.objects.encoders.demo_encoder`); it takes no options. The model is told by
    the names in the file; ``model`` (a key of :data:`MODELS`) insists on one. ``options`` are what
    names and shapes of a file do not tell, see the model's ``from_state``.

    Raises CheckpointError (a ValueError) for a file that cannot be read or is of another model,
    ValueError for options that its model does not take.
    """
    if model is not None and model not in MODELS:
        raise ValueError(f"model is {model!r}, expected one of {', '.join(MODELS)}")
    if os.fspath(path) == DEMO:
        if model not in (None, "recon") or options:
            raise ValueError(f"{DEMO} is of recon and takes no options, got {model!r}, {options}")
        from concerto_ros.objects.encoders.demo_encoder import load_demo

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
        raise CheckpointError(f"{path} is a checkpoint of {found}, expected one of {model}")
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

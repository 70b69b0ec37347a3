# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The object encoder in the box: a narrow ReCon that knows things by their shape and size.

``concerto-ros objects train demo`` makes it, from objects of our own shapes alone.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import torch

from concerto_ros.files.safetensors_file import read_tensors, write_tensors
from concerto_ros.files.shared_files import asset_path
from concerto_ros.objects.encoders.recon.encoder import ReCon
from concerto_ros.objects.encoders.recon.transformer import ReConShape
from concerto_ros.objects.encoders.shared.weights import load_weights
from concerto_ros.ptv3.checkpoint import CheckpointError

#: What the file tells beside the weights, as JSON.
FACTS = ("shape", "points", "size_power", "classes")


def demo_file() -> Path:
    """Where the encoder in the box lies."""
    return asset_path("objects.safetensors")


def save_demo(model: ReCon, path: Path | None = None) -> None:
    """Write a ReCon with its head and the names of its classes; matrices in half precision."""
    state = model.state_dict()
    halves = {
        name: value.half() if value.is_floating_point() and value.ndim > 1 else value
        for name, value in state.items()
    }
    about = {
        "shape": asdict(model.trunk.shape),
        "points": model.points,
        "size_power": model.form.size_power,
        "classes": model.class_names,
        "license": "Apache-2.0",
    }
    metadata = {name: json.dumps(value) for name, value in about.items()}
    write_tensors(path or demo_file(), halves, metadata)


def load_demo(path: Path | None = None) -> ReCon:
    """The encoder in the box, or another file of :func:`save_demo`: float32, evaluation mode.

    Raises CheckpointError for a file that is missing, damaged or does not fit.
    """
    path = path or demo_file()
    try:
        state, metadata = read_tensors(path)
        about = {name: json.loads(metadata[name]) for name in FACTS}
        widths = tuple(about["shape"].pop("patch_widths"))
        shape = ReConShape(**about["shape"], patch_widths=widths)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} cannot be read as an object encoder: {error}") from error
    model = ReCon(shape, about["points"], about["size_power"])
    model.class_names = tuple(about["classes"])
    model.add_head(len(model.class_names))
    floats = {
        name: value.float() if value.dtype == torch.float16 else value
        for name, value in state.items()
    }
    load_weights(model, floats, path)
    return model.eval().requires_grad_(False)

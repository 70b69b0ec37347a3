# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The bundled object encoder: a narrow ReCon that recognises objects by shape and size.

``concerto-ros objects train demo`` trains it on generated shapes and on models of furniture
libraries.
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

#: Metadata of the file, as JSON.
METADATA = ("shape", "points", "size_power", "classes")


def demo_file() -> Path:
    """The path of the bundled encoder's file."""
    return asset_path("objects.safetensors")


def save_demo(model: ReCon, path: Path | None = None) -> None:
    """Write a ReCon with its head and class names; matrices are stored in half precision.

    Args:
        model: With a head and ``class_names``.
        path: File to write; None for the package's own file.
    """
    state = model.state_dict()
    halves = {
        name: value.half() if value.is_floating_point() and value.ndim > 1 else value
        for name, value in state.items()
    }
    described = {
        "shape": asdict(model.trunk.shape),
        "points": model.points,
        "size_power": model.form.size_power,
        "classes": model.class_names,
        "license": "Apache-2.0",
    }
    metadata = {name: json.dumps(value) for name, value in described.items()}
    write_tensors(path or demo_file(), halves, metadata)


def load_demo(path: Path | None = None) -> ReCon:
    """Load the bundled encoder, or another file of :func:`save_demo`, in evaluation mode.

    Args:
        path: None for the package's own file.

    Returns:
        The model in float32 on the CPU.

    Raises:
        CheckpointError: If the file is missing or damaged, or its shapes do not match.
    """
    path = path or demo_file()
    try:
        state, metadata = read_tensors(path)
        stored = {name: json.loads(metadata[name]) for name in METADATA}
        widths = tuple(stored["shape"].pop("patch_widths"))
        shape = ReConShape(**stored["shape"], patch_widths=widths)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} cannot be read as an object encoder: {error}") from error
    model = ReCon(shape, stored["points"], stored["size_power"])
    model.class_names = tuple(stored["classes"])
    model.add_head(len(model.class_names))
    floats = {
        name: value.float() if value.dtype == torch.float16 else value
        for name, value in state.items()
    }
    load_weights(model, floats, path)
    return model.eval().requires_grad_(False)

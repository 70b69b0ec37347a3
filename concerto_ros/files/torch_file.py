# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""PyTorch files of tensors and plain values: written whole, read without running anything."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from concerto_ros.files.atomic_write import replacing


def read_tensors(path: Path) -> dict[str, Any]:
    """What :func:`write_file` wrote. Raises ValueError for a file that is something else."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}, expected a dict")
    return content


def write_file(path: Path, content: dict[str, Any]) -> None:
    """Write tensors and plain values; the file is there whole or not at all."""
    with replacing(path) as partial:
        torch.save(content, partial)


def on_cpu(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A copy of a state dict that does not change with the model, for a file."""
    return {name: value.detach().cpu().clone() for name, value in state.items()}

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""PyTorch files of tensors and plain values: written atomically, read without running code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from concerto_ros.files.atomic_write import replacing
from concerto_ros.files.error_text import in_words
from concerto_ros.files.numpy_scalars import numpy_scalars_allowed

#: How files begin that were downloaded in place of the real ones, and what they are.
DOWNLOADS_GONE_WRONG = {
    b"version https://git-lfs": "is a pointer of Git LFS (run `git lfs pull` in its folder)",
    b"<!doctype html": "is a web page (download the file itself)",
    b"<html": "is a web page (download the file itself)",
}


def read_plain(path: Path, *, arrays: bool = False) -> Any:
    """Read tensors, plain values and NumPy scalars; no code of the file runs.

    Args:
        path: The file.
        arrays: Whether it may hold NumPy arrays of numbers as well.

    Raises:
        ValueError: The file cannot be read or holds anything else.
    """
    try:  # PyTorch raises OSError for bad content as well
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise ValueError(in_words(error)) from error
    for beginning, what in DOWNLOADS_GONE_WRONG.items():
        if head.lstrip().lower().startswith(beginning):
            raise ValueError(f"{path} {what}, expected a file of PyTorch")
    try:
        with numpy_scalars_allowed(arrays=arrays):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a file of something else raises almost anything
        # Not PyTorch's own text: it advises to load without the safety of weights_only.
        raise ValueError(
            f"{path} cannot be read as a file of PyTorch: it is damaged, cut short, or holds more"
            " than tensors and plain values"
        ) from error


def read_tensors(path: Path) -> dict[str, Any]:
    """Read what :func:`write_file` wrote.

    Raises:
        ValueError: The file cannot be read or is not such a file.
    """
    content = read_plain(path)
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}, expected a dict")
    return content


def write_file(path: Path, content: dict[str, Any]) -> None:
    """Write a dict of tensors and plain values atomically.

    Raises:
        OSError: The file cannot be written.
    """
    with replacing(path) as partial:
        torch.save(content, partial)


def on_cpu(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Copy a state dict to the CPU; the copy does not change with the model."""
    return {name: value.detach().cpu().clone() for name, value in state.items()}

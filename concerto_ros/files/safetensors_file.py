# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Files in the safetensors format, in which nothing can run, by the library of that name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save


def read_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Tensors by name, and the file's metadata.

    Raises ValueError naming what is wrong in a file that is damaged; OSError where it cannot be
    read.
    """
    with _opened(path) as file:
        # The library maps the file into memory; a clone stays when the file changes.
        return {name: file.get_tensor(name).clone() for name in file.offset_keys()}, _metadata(
            file
        )


def read_metadata(path: Path) -> dict[str, str]:
    """The file's metadata alone; the tensors are not read. Raises as :func:`read_tensors`."""
    with _opened(path) as file:
        return _metadata(file)


@contextmanager
def _opened(path: Path) -> Iterator[safe_open]:
    path.open("rb").close()  # raises OSError with its reason, which the library leaves out
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except SafetensorError as error:
        raise ValueError(f"it is not a safetensors file: {error}") from error


def _metadata(file: safe_open) -> dict[str, str]:
    return file.metadata() or {}


def write_tensors(path: Path, tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> None:
    """Write tensors and metadata."""
    # The library takes no two views of one memory.
    own = {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in tensors.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(save(own, metadata))  # by Python, whose OSError says what went wrong

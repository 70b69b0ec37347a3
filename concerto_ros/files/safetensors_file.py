# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Files in the safetensors format, which cannot hold code."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save


def read_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Read a file.

    Returns:
        The tensors by name, and the file's metadata.

    Raises:
        ValueError: The file is damaged or not a safetensors file; the text says what is wrong.
        OSError: The file cannot be read.
    """
    path.open("rb").close()  # raises OSError with its reason, which the library leaves out
    try:
        with safe_open(path, framework="pt") as file:
            # The library maps the file into memory; a clone stays when the file changes.
            tensors = {name: file.get_tensor(name).clone() for name in file.offset_keys()}
            return tensors, file.metadata() or {}
    except SafetensorError as error:
        raise ValueError(f"it is not a safetensors file: {error}") from error


def write_tensors(path: Path, tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> None:
    """Write tensors and metadata; the same content always gives the same bytes.

    Raises:
        OSError: The file cannot be written.
    """
    # The library refuses tensors that share memory.
    own = {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in tensors.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    # Written by Python, whose OSError names the reason.
    path.write_bytes(_reproducible(save(own, metadata)))


def _reproducible(file: bytes) -> bytes:
    """The same file with its metadata sorted by name: the library's own order is random."""
    size = int.from_bytes(file[:8], "little")
    header = json.loads(file[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header.get("__metadata__", {}).items()))
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text = text.ljust(-(-len(text) // 8) * 8)  # the format aligns tensors to 8 bytes
    return len(text).to_bytes(8, "little") + text + file[8 + size :]

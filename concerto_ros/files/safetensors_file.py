# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Files in the safetensors format: eight bytes of length, a JSON header, the tensors' bytes.

Nothing in such a file can run. The format (https://github.com/huggingface/safetensors) is read
here because no ROS distribution has a package of its library.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import BinaryIO

import torch

_TYPES = {
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "U8": torch.uint8,
}
_NAMES = {kind: name for name, kind in _TYPES.items()}

#: No header of ours is longer; a damaged length must not make us read gigabytes.
LONGEST_HEADER = 1 << 20


def read_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Tensors by name, and the file's metadata.

    Raises ValueError naming what is wrong in a file that is damaged or holds a type that is not
    used here; OSError where it cannot be read.
    """
    with path.open("rb") as file:
        header, metadata = _header(file)
        data = memoryview(bytearray(file.read()))
    return {name: _tensor(name, entry, data) for name, entry in header.items()}, metadata


def read_metadata(path: Path) -> dict[str, str]:
    """The file's metadata alone; the tensors are not read. Raises as :func:`read_tensors`."""
    with path.open("rb") as file:
        return _header(file)[1]


def _header(file: BinaryIO) -> tuple[dict, dict[str, str]]:
    """The entries of the tensors and the metadata; ``file`` is then at the tensors' bytes."""
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or not 2 <= length <= min(LONGEST_HEADER, size - 8):
        raise ValueError(f"its header's length is {length} of {size} bytes")
    header = json.loads(file.read(length))
    if not isinstance(header, dict):
        raise ValueError(f"its header is a {type(header).__name__}, wanted an object")
    return header, header.pop("__metadata__", {})


def _tensor(name: str, entry: dict, data: memoryview) -> torch.Tensor:
    try:
        kind, shape = _TYPES[entry["dtype"]], tuple(map(int, entry["shape"]))
        start, end = map(int, entry["data_offsets"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"its entry {name!r} is {entry!r}") from error
    size = torch.Size(shape).numel() * kind.itemsize
    if min(shape, default=0) < 0 or not 0 <= start <= end <= len(data) or end - start != size:
        raise ValueError(f"its entry {name!r} is {entry!r}, of {len(data)} bytes of data")
    if not size:
        return torch.empty(shape, dtype=kind)
    return torch.frombuffer(data[start:end], dtype=kind).reshape(shape).clone()


def write_tensors(path: Path, tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> None:
    """Write tensors, sorted by name, and metadata."""
    header: dict = {"__metadata__": metadata}
    parts, end = [], 0
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        # An empty tensor has no bytes that could be viewed.
        raw = value.reshape(-1).view(torch.uint8).numpy().tobytes() if value.numel() else b""
        place = [end, end + len(raw)]
        header[name] = {
            "dtype": _NAMES[value.dtype],
            "shape": list(value.shape),
            "data_offsets": place,
        }
        parts.append(raw)
        end += len(raw)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the data begin on a multiple of eight bytes
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join([len(text).to_bytes(8, "little"), text, *parts]))

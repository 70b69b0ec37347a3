# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Reading of tensors in a TorchScript archive without running anything in it.

The official files of CLIP are such archives. ``torch.load(weights_only=True)`` refuses them, and
``torch.jit.load`` runs what they hold. Here the pickle in the archive can build nothing but plain
containers and tensors.
"""

from __future__ import annotations

import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from typing import Any

import torch

from concerto_ros.objects.encoders.shared.weights import State
from concerto_ros.ptv3.checkpoint import CheckpointError

#: Types of storage by their names in an archive.
DTYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


def is_torchscript(path: str | os.PathLike) -> bool:
    """Return whether a file is a TorchScript archive."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        names = [name.partition("/")[2] for name in archive.namelist()]
    return "data.pkl" in names and "constants.pkl" in names


def read_torchscript(path: str | os.PathLike, keep: Callable[[str], bool]) -> State:
    """Read the state dict of an archive, those names for which ``keep(name)`` is true; on the CPU.

    Raises:
        CheckpointError: If the archive is damaged or holds more than modules, plain values and
            tensors (it is a ValueError).
    """
    try:
        with zipfile.ZipFile(path) as archive:
            root = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
            with archive.open(root) as file:
                module = _Reader(file, archive, root.removesuffix("data.pkl")).load()
            tensors = _tensors(module, "")
            return {name: read() for name, read in tensors.items() if keep(name)}
    except (
        *(pickle.UnpicklingError, zipfile.BadZipFile, struct.error, EOFError, OSError),
        *(AttributeError, IndexError, KeyError, RecursionError, RuntimeError),
        *(StopIteration, TypeError, ValueError),
    ) as error:
        raise CheckpointError(
            f"{path} cannot be read as a TorchScript archive: it is damaged, cut short, or holds"
            f" more than modules and tensors ({type(error).__name__})"
        ) from error


class _Module:
    """Stand-in for any module of the archive; its attributes become entries of ``__dict__``."""


class _Tensor:
    """Reads one tensor when called."""

    def __init__(self, storage: Callable[[], torch.Tensor], offset: int, size, stride, *_: Any):
        self._storage, self._view = storage, (tuple(size), tuple(stride), offset)

    def __call__(self) -> torch.Tensor:
        return self._storage().as_strided(*self._view).clone()


class _Reader(pickle.Unpickler):
    """Unpickles with a fixed choice of classes."""

    def __init__(self, file, archive: zipfile.ZipFile, folder: str):
        super().__init__(file)
        self._archive, self._folder = archive, folder

    def find_class(self, module: str, name: str) -> Any:
        if module.startswith("__torch__"):
            return _Module
        if module == "torch" and name in DTYPES:
            return DTYPES[name]
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _Tensor
        if (module, name) == ("collections", "OrderedDict"):
            return dict
        if module == "torch.jit._pickle" and name.startswith("build_"):
            return list
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed")

    def persistent_load(self, pid: Any) -> Callable[[], torch.Tensor]:
        kind, dtype, key, _, count = pid
        if kind != "storage":
            raise pickle.UnpicklingError(f"{kind!r} is not allowed")

        def read() -> torch.Tensor:
            data = bytearray(self._archive.read(f"{self._folder}data/{key}"))
            return torch.frombuffer(data, dtype=dtype, count=count) if count else torch.empty(0)

        return read


def _tensors(module: _Module, prefix: str) -> dict[str, _Tensor]:
    """Collect the tensors of a module and its submodules, by their names in the state dict."""
    found = {}
    for name, value in vars(module).items():
        if isinstance(value, _Tensor):
            found[prefix + name] = value
        elif isinstance(value, _Module):
            found |= _tensors(value, f"{prefix}{name}.")
    return found

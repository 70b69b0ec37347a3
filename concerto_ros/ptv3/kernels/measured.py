# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Optional kernels that a measurement found faster on this GPU: what ``make gpu-check`` wrote.

Nothing is measured while clouds are computed: the same machine gives the same bits until somebody
measures again. A measurement counts for the GPU and the version of PyTorch that it was made with.
"""

from __future__ import annotations

import importlib
import json
import logging
import re
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

import torch

from concerto_ros.files.atomic_write import replacing
from concerto_ros.files.cache_folder import cache_folder

#: By the name of a choice: the packages of the extra ``[cuda]`` that may be chosen.
CANDIDATES = {
    "backend": ("spconv",),
    "attention": ("flash_attn",),
    "reduction": ("torch_scatter",),
}

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Choices:
    """Packages to use where the plain path would be slower; empty for the plain path.

    Attributes:
        backend: of neighbours and convolution.
        attention: of patches without masks, in half precision.
        reduction: of the maximum of each pooled voxel.
    """

    backend: str = ""
    attention: str = ""
    reduction: str = ""


@cache
def choices(device: torch.device) -> Choices:
    """Return what was chosen for a device; the plain paths for one that was never measured."""
    if device.type != "cuda":
        return Choices()
    try:
        path = _path(device)
    except (RuntimeError, AssertionError):  # whoever computes there will say what is wrong
        return Choices()
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        known = {name: found.get(name, "") for name in CANDIDATES}
    except FileNotFoundError:
        return Choices()
    except (OSError, ValueError, AttributeError) as error:
        _log.warning("%s is not used: %s; run make gpu-check again", path, error)
        return Choices()
    return Choices(**{name: value for name, value in known.items() if value in CANDIDATES[name]})


def save_choices(device: torch.device, chosen: Choices) -> Path:
    """Write what is to be used on a device from the next process on; returns the file."""
    path = _path(device)
    with replacing(path) as partial:
        partial.write_text(json.dumps(asdict(chosen), indent=1), encoding="utf-8")
    return path


@cache
def package(name: str) -> ModuleType | None:
    """Import an optional package; None, said once, where that fails."""
    try:
        return importlib.import_module(name)
    except Exception as error:  # a build for another CUDA fails in ways of its own
        _log.warning("%s was measured to be faster, but cannot be imported (%s)", name, error)
        return None


def _path(device: torch.device) -> Path:
    name = f"{torch.cuda.get_device_name(device)} torch {torch.__version__}"
    return cache_folder() / "gpu" / f"{re.sub(r'[^a-z0-9.]+', '-', name.lower())}.json"

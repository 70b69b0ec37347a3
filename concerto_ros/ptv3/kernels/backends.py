# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Backends: the kernels for neighbours, convolution and curves, and the choice between them.

Plain PyTorch is the baseline that always works. Attention and pooling need no choice: PyTorch has
FlashAttention and segment reductions of its own.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import torch

from concerto_ros.ptv3.kernels import curves as serialization
from concerto_ros.ptv3.kernels import neighbour_table
from concerto_ros.ptv3.kernels.fused import PLAIN, Fused
from concerto_ros.ptv3.kernels.measured import choices
from concerto_ros.ptv3.kernels.native.library import why_not
from concerto_ros.ptv3.kernels.neighbours import find_neighbours
from concerto_ros.ptv3.kernels.out_of_memory import is_out_of_memory

#: Names a person may choose; ``auto`` is ``native`` on the CPU where a C++ compiler is found, and
#: ``triton`` on CUDA where it runs, unless ``make gpu-check`` found spconv faster there; else
#: ``torch``.
BACKENDS = ("auto", "torch", "native", "triton", "spconv")

#: The oldest Triton that the kernels were compiled with.
_TRITON_VERSION = (3, 3)

#: The compute capability from which Triton compiles for a GPU.
_TRITON_CAPABILITY = (8, 0)

_log = logging.getLogger(__name__)


class BackendError(ValueError):
    """A backend that is not available here; the text gives the reason and what to do."""


def _compile_nothing(widths: Collection[int], dtype: torch.dtype, device: torch.device) -> None:
    """Do nothing: the warm-up of kernels that come compiled."""


@dataclass(frozen=True)
class Backend:
    """A set of kernels.

    Attributes:
        name: ``torch``, ``native``, ``triton`` or ``spconv``.
        curve_code: as :func:`concerto_ros.ptv3.kernels.curves.curve_code`.
        find_neighbours: (keys, rows, largest) as
            :func:`concerto_ros.ptv3.kernels.neighbours.find_neighbours`;
            :class:`~concerto_ros.ptv3.kernels.sparse_conv.SubmanifoldConv` takes the result.
        warm_up: (widths, dtype, device) compiles the kernels of a block for clouds of any size,
            with as many channels as each of ``widths``.
        fused: further steps of an encoder.
    """

    name: str
    curve_code: Callable[[torch.Tensor, int, str], torch.Tensor]
    find_neighbours: Callable[[torch.Tensor, torch.Tensor | None, list[int]], Any]
    warm_up: Callable[[Collection[int], torch.dtype, torch.device], None] = _compile_nothing
    fused: Fused = PLAIN


#: Pairs of neighbours, grouped by kernel offset: the fewest operations.
PAIRS = Backend("torch", serialization.curve_code, find_neighbours)

#: A table of neighbours, whose shape is known without waiting for the device.
TABLE = Backend(
    "torch",
    serialization.curve_code,
    partial(neighbour_table.find_neighbour_table, multiply=neighbour_table.multiply),
)


def choose_backend(name: str, device: torch.device) -> Backend:
    """Return the backend ``name`` for tensors on ``device``.

    Raises:
        BackendError: (a ValueError) the backend does not exist or is not available there.
    """
    if name not in BACKENDS:
        raise BackendError(f"backend is {name!r}, expected one of {', '.join(BACKENDS)}")
    if name == "auto":
        name = _automatic(device)
    if name == "torch":
        return TABLE if device.type == "cuda" else PAIRS
    if why := _why_unavailable(name, device):
        install = ", or install the extra [cuda]" if name == "spconv" else ""
        raise BackendError(
            f"backend {name} is not available on {device}: {why}; use auto or torch{install}"
        )
    if name == "native":
        return _native()
    return _triton() if name == "triton" else _spconv()


def _why_unavailable(name: str, device: torch.device) -> str:
    """Return why kernels other than PyTorch's are not available; empty where they are."""
    if name == "native":
        return why_not() if device.type == "cpu" else "it computes on the CPU only"
    why = _why_no_triton(device) if name == "triton" else _why_no_spconv()
    runs = device.type == "cuda" or (name == "triton" and _interpreted())
    return why or ("" if runs else "it needs a CUDA device")


def _automatic(device: torch.device) -> str:
    measured = choices(device).backend
    if measured and not _why_no_spconv():
        return measured
    if device.type == "cuda":
        return "torch" if _why_no_triton(device) else "triton"
    return "native" if device.type == "cpu" and not why_not() else "torch"


@cache
def _why_no_triton(device: torch.device) -> str:
    """Return why Triton is not available on ``device``; empty where it is.

    A kernel is launched there, once: its requirements beside the package, a C compiler and the
    headers of Python, show only then.
    """
    try:
        import triton
    except Exception as error:  # a broken installation fails in ways of its own
        return f"triton cannot be imported ({error})"
    version = tuple(int(part) for part in triton.__version__.split(".")[:2])
    if version < _TRITON_VERSION:
        return f"triton is {triton.__version__}, expected 3.3 or newer"
    if device.type != "cuda" and not _interpreted():
        return ""  # the caller refuses it because it is not a GPU
    try:
        if device.type == "cuda":
            capability = torch.cuda.get_device_capability(device)
            if capability < _TRITON_CAPABILITY:
                found = ".".join(map(str, capability))
                return f"triton needs compute capability 8.0 or newer, and the GPU has {found}"
        _launch(device)
    except Exception as error:  # of the compiler, of the linker, of the driver
        if is_out_of_memory(error):
            raise  # unrelated to Triton, and may be over by the next time
        cause = f"{type(error).__name__}: {error}".splitlines()[0]
        reason = f"triton cannot launch a kernel, for which it needs a C compiler ({cause})"
        _log.warning("%s on %s", reason, device)
        return reason
    return ""


def _launch(device: torch.device) -> None:
    """Run the smallest possible kernel, and wait for it."""
    from concerto_ros.ptv3.kernels.triton import curves as triton_codes

    voxel = torch.zeros(1, 3, dtype=torch.int64, device=device)
    triton_codes.curve_code(voxel, 1, "z").cpu()


@cache
def _why_no_spconv() -> str:
    """Return why spconv is not available; empty where it is."""
    try:
        import spconv.pytorch  # noqa: F401
    except Exception as error:  # a build for another CUDA fails in ways of its own
        return f"spconv cannot be imported ({error})"
    return ""


def _interpreted() -> bool:
    """Return whether Triton runs its kernels on the CPU (``TRITON_INTERPRET=1``), for tests."""
    return os.environ.get("TRITON_INTERPRET") == "1"


@cache
def _native() -> Backend:
    from concerto_ros.ptv3.kernels.native import attention, convolution, linear, norm

    fused = Fused(
        add_norm=norm.add_norm,
        pool=norm.pool,
        linear=linear.linear,
        mlp=linear.mlp,
        attention=attention.attention,
    )
    return Backend("native", serialization.curve_code, convolution.NativeNeighbours, fused=fused)


def _triton() -> Backend:
    from concerto_ros.ptv3.kernels.triton import (
        coarsening,
        conv,
        curves,
        neighbours,
        norm,
        padding,
        pooling,
        rotary,
    )

    def warm_up(widths: Collection[int], dtype: torch.dtype, device: torch.device) -> None:
        conv.warm_up(widths, dtype, device)
        with torch.no_grad():
            norm.warm_up(widths, dtype, device)
            pooling.warm_up(widths, dtype, device)
        padding.warm_up(device)

    find = partial(neighbours.find_neighbour_table, multiply=conv.multiply)
    fused = Fused(
        norm.add_norm,
        pooling.pool,
        rotary.rotate,
        coarsening.coarsen,
        padding.pad_level,
        padding.pad_patches,
    )
    return Backend("triton", curves.curve_code, find, warm_up, fused)


def _spconv() -> Backend:
    from concerto_ros.ptv3.kernels import spconv_conv

    return Backend("spconv", serialization.curve_code, spconv_conv.find_neighbours)

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Calling the compiled kernels with tensors: which they take, and how."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import torch
from torch import is_autocast_enabled, is_grad_enabled, nn
from torch.compiler import is_compiling
from torch.jit import is_tracing

from concerto_ros.ptv3.cpu.allocation import keep_freed_memory
from concerto_ros.ptv3.kernels.native.library import library

INTEGER, COUNT, REAL, POINTER = (
    ctypes.c_int,
    ctypes.c_int64,
    ctypes.c_float,
    ctypes.c_void_p,
)

#: The values of these lie in memory, which is not known of classes derived from them.
_IN_MEMORY = (torch.Tensor, nn.Parameter)

#: How many modes are around that may change what PyTorch's operators and functions do. Asking
#: takes a tenth of the time of making a tensor to see what comes of it; a pass asks often.
_dispatch_modes, _function_modes = (
    getattr(torch._C, name, lambda: 1)
    for name in ("_len_torch_dispatch_stack", "_len_torch_function_stack")
)


def takes(feat: torch.Tensor, dtype: torch.dtype, *others: torch.Tensor | None) -> bool:
    """Return whether the kernels compute with these features in ``dtype`` here.

    They do on the CPU, in float32, and in bfloat16 where the CPU has instructions for it; without
    gradients, not for tensors without values, like those of ``FakeTensorMode``, and not where
    PyTorch records its operators.

    Args:
        feat: the features, float32 or in ``dtype``.
        dtype: the type of the products.
        others: the other tensors of the computation, if there are any.
    """
    if (
        is_compiling()
        or is_tracing()
        or is_grad_enabled()
        or is_autocast_enabled("cpu")
        or not has_kernels(dtype)
        or feat.dtype not in (torch.float32, dtype)
        or not feat.numel()
    ):
        return False
    for tensor in (feat, *others):
        if tensor is not None and (type(tensor) not in _IN_MEMORY or not tensor.is_cpu):
            return False
    # FakeTensorMode makes other tensors.
    return not (_dispatch_modes() or _function_modes()) or type(feat.new_empty(0)) is torch.Tensor


def is_observed(layer: nn.Module) -> bool:
    """Return whether a layer has hooks, which only a call of the layer itself runs.

    Some of them change its weights, as pruning does.
    """
    return bool(layer._forward_hooks or layer._forward_pre_hooks)


@cache
def has_kernels(dtype: torch.dtype) -> bool:
    """Return whether the compiled kernels compute in this type on this machine."""
    if library() is None:
        return False
    keep_freed_memory()
    return dtype == torch.float32 or (dtype == torch.bfloat16 and bool(_has_bfloat16()))


def _has_bfloat16() -> int:
    return _function("concerto_has_bfloat16", ())()


@cache
def multiplies(dtype: torch.dtype) -> bool:
    """Return whether products of matrices by the kernels are the fastest here.

    Where a CPU has AMX, PyTorch's products of bfloat16 are.
    """
    has_tiles = getattr(torch.cpu, "_is_amx_tile_supported", bool)()
    return has_kernels(dtype) and not (dtype == torch.bfloat16 and has_tiles)


def call(name: str, types: tuple[Any, ...], *arguments: Any) -> None:
    """Call a kernel with as many threads as PyTorch uses.

    Args:
        name: of the function in the library.
        types: of its arguments but for the last one, the number of threads.
        arguments: tensors for ``POINTER`` (None: a null pointer), contiguous if they are
            results; else numbers.

    Raises:
        MemoryError: there is not enough.
    """
    # In a list: copies have to live until the kernel is done.
    inputs = [
        value.contiguous() if isinstance(value, torch.Tensor) else value for value in arguments
    ]
    values = [value.data_ptr() if isinstance(value, torch.Tensor) else value for value in inputs]
    if _function(name, types)(*values, torch.get_num_threads()):
        raise MemoryError(f"not enough memory for {name}")


@cache
def _function(name: str, types: tuple[Any, ...]) -> Any:
    function = getattr(library(), name)
    function.argtypes = (*types, INTEGER) if types else ()
    function.restype = INTEGER
    return function

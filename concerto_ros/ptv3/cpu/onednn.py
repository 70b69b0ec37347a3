# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Matrix products straight from oneDNN, which PyTorch's x86 builds include.

PyTorch hands products of float32 to MKL, which leaves half the vector width of an AMD CPU with
AVX-512 unused; oneDNN compiles its kernels for the CPU it runs on. It also applies a function to
each product before it leaves the cache. The same operator serves ``torch.compile`` on CPUs.
"""

from __future__ import annotations

import warnings
from functools import cache

import torch
from torch import nn
from torch.nn import functional

from concerto_ros.ptv3.cpu.matmul import LinearFunction, replaced
from concerto_ros.ptv3.recurring_sizes import recurring_size

#: Numbers of rows: multiples of this, so many between one power of two and the next.
_STEP, _PER_OCTAVE = 16, 4

#: Functions of a product: the operator's name for each, and the variant where it has several.
_FUNCTIONS = {None: ("none", ""), "gelu": ("gelu", "none"), "sigmoid": ("sigmoid", "")}


def product(
    feat: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    function: str | None = None,
) -> torch.Tensor:
    """Compute ``function(feat @ weight.t() + bias)``, without gradients.

    Only where :func:`usable` is true.

    Args:
        feat: (N, K) of any floating-point type; computed in that of ``weight``.
        weight: (C, K).
        bias: (C,); None: no bias.
        function: ``gelu``, ``sigmoid`` or None for none.

    Returns:
        (N, C).
    """
    rows = in_recurring_rows(feat, weight.dtype)
    return product_of_rows(rows, weight, bias, function)[: len(feat)]


def product_of_rows(
    rows: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    function: str | None = None,
) -> torch.Tensor:
    """Compute :func:`product` of rows in the type of ``weight``, whose number recurs as it is."""
    attribute, variant = _FUNCTIONS[function]
    # oneDNN has no fast kernel for some of the columns of a matrix where they lie.
    weight = weight.contiguous()
    return torch.ops.mkldnn._linear_pointwise(rows, weight, bias, attribute, [], variant)


def recurring_rows(count: int) -> int:
    """Return the number of rows to multiply instead of ``count``; a few serve all clouds.

    oneDNN compiles and keeps kernels for each number of rows.
    """
    return recurring_size(count, _STEP, _PER_OCTAVE) if count else 0


def in_recurring_rows(values: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Convert (..., N, C) to ``dtype`` and a recurring number of rows; those added are zeros."""
    *batch, count, width = values.shape
    rows = recurring_rows(count)
    if rows == count:
        return values.to(dtype)
    padded = values.new_empty(*batch, rows, width, dtype=dtype)
    padded[..., :count, :] = values
    padded[..., count:, :] = 0
    return padded


def usable(feat: torch.Tensor, dtype: torch.dtype | None = None) -> bool:
    """Return whether :func:`product` takes these rows, in ``dtype``, and is faster here.

    That is on a CPU with AVX-512, and without gradients. False for tensors without values, like
    those of ``FakeTensorMode``.
    """
    return (
        type(feat) is torch.Tensor
        and feat.device.type == "cpu"
        and feat.ndim == 2
        and feat.numel() > 0
        and not torch.is_grad_enabled()
        and has_kernels(dtype or feat.dtype)
    )


@cache
def has_kernels(dtype: torch.dtype) -> bool:
    """Return whether oneDNN multiplies this type with AVX-512 or better on this machine."""
    if dtype == torch.float32:
        return _has_vectors() and _agrees(dtype)
    return dtype == torch.bfloat16 and has_bfloat16_products()


@cache
def has_bfloat16_products() -> bool:
    """Return whether this CPU has instructions for products of bfloat16 (AMX or AVX512-BF16)."""
    queries = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    native = any(getattr(torch.cpu, query, bool)() for query in queries)
    return native and _has_vectors() and _agrees(torch.bfloat16)


@cache
def has_whole_vectors() -> bool:
    """Return whether this CPU executes AVX-512 at its whole width.

    AMD's Zen 4 takes two steps of half the width; Zen 5, which does not, added AVX-VNNI.
    """
    about: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    is_zen_4 = "AMD" in str(about.get("cpu_name")) and not about.get("avx_vnni", True)
    return _has_vectors() and not is_zen_4


def _has_vectors() -> bool:
    capability = getattr(torch.backends.cpu, "get_cpu_capability", str)()
    return "AVX512" in capability and torch.backends.mkldnn.is_available()


def _agrees(dtype: torch.dtype) -> bool:
    """Return whether the operator exists and gives the right product."""
    left = torch.arange(-24, 24).view(3, 16).to(dtype) / 16
    try:
        with torch.no_grad():
            ours = product(left, left, left[0, :3], "sigmoid")
    except (AttributeError, RuntimeError, TypeError, ValueError) as error:
        warnings.warn(f"no products by oneDNN in {dtype}: {error}", stacklevel=2)
        return False
    theirs = functional.linear(left.double(), left.double(), left[0, :3].double()).sigmoid()
    return bool(torch.allclose(ours.double(), theirs, rtol=1e-2, atol=1e-6))


def linear(
    feat: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    *,
    gelu: bool = False,
) -> torch.Tensor:
    """Compute ``feat @ weight.t() + bias``, by oneDNN where that is faster.

    Args:
        feat: (N, K) of any floating-point type; computed in that of ``weight``.
        weight: (C, K).
        bias: (C,); None: no bias.
        gelu: whether a GELU (Hendrycks and Gimpel, 2016) follows.

    Returns:
        (N, C).
    """
    if usable(feat, weight.dtype):
        return product(feat, weight, bias, "gelu" if gelu else None)
    feat = feat.to(weight.dtype)
    if feat.ndim == 2 and replaced(feat):
        result = LinearFunction.apply(feat, weight, bias)
    else:
        result = functional.linear(feat, weight, bias)
    return functional.gelu(result) if gelu else result


class Linear(nn.Linear):
    """A linear layer in the precision of its weights, by :func:`linear`."""

    def forward(self, feat: torch.Tensor, *, gelu: bool = False) -> torch.Tensor:
        """Map (N, C_in) to (N, C_out), optionally through a GELU."""
        return linear(feat, self.weight, self.bias, gelu=gelu)


class GELU(nn.GELU):
    """The exact GELU of rows whose number varies: PyTorch computes it by oneDNN on a CPU."""

    def forward(self, feat: torch.Tensor) -> torch.Tensor:
        """Map (N, C) to (N, C)."""
        varies = type(feat) is torch.Tensor and feat.device.type == "cpu"
        if not varies or torch.is_grad_enabled():
            return super().forward(feat)
        return super().forward(in_recurring_rows(feat, feat.dtype))[: len(feat)]

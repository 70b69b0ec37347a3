# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the checks of several kernels share: where they run, levels, comparing, compiling."""

from __future__ import annotations

import torch
from ptv3_inputs import CONFIG, batch_of

from concerto_ros.ptv3 import build_hierarchy
from concerto_ros.ptv3.kernels.backends import PAIRS, choose_backend

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
#: Types of features for which kernels are compiled, as Triton calls them.
KINDS = ("fp32", "bf16", "fp16")


def levels(*sizes: int):
    """The same levels by plain PyTorch and by Triton."""
    given = [value.to(DEVICE) for value in batch_of(*sizes, side=6)]
    triton = choose_backend("triton", DEVICE)
    assert triton.name == "triton"
    plain, fast = (build_hierarchy(*given, CONFIG, backend) for backend in (PAIRS, triton))
    return zip(plain.levels, fast.levels, strict=True)


def there(value):
    """A tensor on the device; other values as they are."""
    return value.to(DEVICE) if isinstance(value, torch.Tensor) else value


def same_arrays(ours, plain):
    """Check that arrays have the same type and the same bits, or are both absent."""
    for one, other in zip(ours, plain, strict=True):
        assert (one is None) == (other is None)
        assert one is None or (one.dtype == other.dtype and torch.equal(one, other))


def built(kernel, signature, constants, capability):
    """A kernel compiled for GPUs of a compute capability."""
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource, compile

    signature |= dict.fromkeys(constants, "constexpr")
    source = ASTSource(kernel, signature, constants)
    return compile(source, target=GPUTarget("cuda", capability, 32))

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Products by NumPy's OpenBLAS, twice as fast as PyTorch's MKL on AMD CPUs with AVX-512."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

#: What OpenBLAS calls its kernels for AVX-512.
_AVX512 = "SkylakeX"


def product(left: torch.Tensor, right: torch.Tensor, out: torch.Tensor) -> None:
    """(N, K) times (K, C) into ``out`` (N, C), contiguous; all float32 on the CPU."""
    np.matmul(left.numpy(), right.numpy(), out=out.numpy())


def environment() -> dict[str, str]:
    """What a process must find in its environment before it loads NumPy, to compute alone.

    One thread; and on AMD CPUs with AVX-512, newer ones of which OpenBLAS takes for CPUs without,
    the kernels for it.
    """
    wanted = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    return wanted | ({"OPENBLAS_CORETYPE": _AVX512} if helps() else {})


def helps() -> bool:
    """Whether this CPU is an AMD one with AVX-512, where MKL computes with half its width."""
    try:
        about = Path("/proc/cpuinfo").read_text(errors="replace")
    except OSError:
        return False
    flags = {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}
    return "AuthenticAMD" in about and flags <= set(about.split())

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""In which precisions the compiled kernels are tested."""

from __future__ import annotations

import pytest
import torch

from concerto_ros.ptv3.kernels.native.calls import has_kernels
from concerto_ros.ptv3.kernels.native.library import library, why_not


@pytest.fixture(scope="session", params=[torch.float32, torch.bfloat16], ids=str)
def precision(request) -> torch.dtype:
    """A type that the kernels compute in; skipped where they do not on this machine."""
    if library() is None:
        pytest.skip(why_not())
    if not has_kernels(request.param):
        pytest.skip(f"this CPU has no instructions for {request.param}")
    return request.param

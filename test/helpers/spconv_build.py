# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Where the installed build of spconv computes."""

from __future__ import annotations

import pytest
import torch


def spconv_device() -> str:
    """The device to test spconv on; skips the test where this machine has none for it.

    The build for CUDA, that of the extra ``[cuda]``, computes nothing on a CPU.
    """
    pytest.importorskip("spconv.pytorch", reason="spconv is not installed")
    from spconv.cppconstants import CPU_ONLY_BUILD

    if CPU_ONLY_BUILD:
        return "cpu"
    if not torch.cuda.is_available():
        pytest.skip("spconv is the build for CUDA, and there is no GPU")
    return "cuda"

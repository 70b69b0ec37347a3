# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""TF32 is found allowed or not whichever of PyTorch's two settings somebody has used."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: Settings last for the process, and those of the two kinds cannot be undone.
SCRIPT = """
import torch
from concerto_ros.ptv3.kernels.tf32 import may_use_tf32, whole_float32

matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
{setting}
before = may_use_tf32()
with whole_float32():
    inside = may_use_tf32()
print(before, inside, may_use_tf32())
"""


@pytest.mark.parametrize(
    "setting, allowed",
    [
        ("", False),
        ("matmul.allow_tf32 = True", True),
        ("torch.set_float32_matmul_precision('high')", True),
        ("torch.set_float32_matmul_precision('highest')", False),
        ("matmul.fp32_precision = 'tf32'", True),
        ("matmul.fp32_precision = 'ieee'", False),
        ("torch.backends.fp32_precision = 'tf32'", True),
        ("torch.backends.fp32_precision = 'ieee'", False),
        ("matmul.allow_tf32 = True; matmul.fp32_precision = 'ieee'", False),
        ("torch.backends.fp32_precision = 'tf32'; matmul.fp32_precision = 'ieee'", False),
        ("cudnn.fp32_precision = 'ieee'; matmul.fp32_precision = 'tf32'", True),
    ],
)
def test_tf32_is_read_from_either_setting(setting, allowed):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(setting=setting)],
        capture_output=True,
        text=True,
    )
    if "fp32_precision" in setting and "AttributeError" in done.stderr:
        pytest.skip("this PyTorch has one setting only")
    assert done.stdout.split() == [str(allowed), "False", str(allowed)], done.stderr

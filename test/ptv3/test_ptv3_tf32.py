# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""TF32 is found allowed or not whichever of PyTorch's two settings somebody has used."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: Prints a line for each setting it is given. Settings last for the process, and those of the two
#: kinds cannot be undone, so each has a child of its own.
SCRIPT = """
import os, sys, torch
from concerto_ros.ptv3.kernels.tf32 import may_use_tf32, whole_float32

matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
for setting in sys.argv[1:]:
    if os.fork():
        os.wait()
        continue
    try:
        exec(setting)
        before = may_use_tf32()
        with whole_float32():
            inside = may_use_tf32()
        print(before, inside, may_use_tf32(), flush=True)
    except Exception as error:
        print(repr(error), flush=True)
    os._exit(0)
"""

ALLOWED = {
    "": False,
    "matmul.allow_tf32 = True": True,
    "torch.set_float32_matmul_precision('high')": True,
    "torch.set_float32_matmul_precision('highest')": False,
    "matmul.fp32_precision = 'tf32'": True,
    "matmul.fp32_precision = 'ieee'": False,
    "torch.backends.fp32_precision = 'tf32'": True,
    "torch.backends.fp32_precision = 'ieee'": False,
    "matmul.allow_tf32 = True; matmul.fp32_precision = 'ieee'": False,
    "torch.backends.fp32_precision = 'tf32'; matmul.fp32_precision = 'ieee'": False,
    "cudnn.fp32_precision = 'ieee'; matmul.fp32_precision = 'tf32'": True,
}


@pytest.fixture(scope="module")
def said() -> dict[str, str]:
    """What the script says of each setting."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *ALLOWED], capture_output=True, text=True, check=True
    )
    return dict(zip(ALLOWED, done.stdout.splitlines(), strict=True))


@pytest.mark.parametrize("setting", ALLOWED)
def test_tf32_is_read_from_either_setting(said, setting):
    if "fp32_precision" in setting and "AttributeError" in said[setting]:
        pytest.skip("this PyTorch has one setting only")
    assert said[setting].split() == [str(ALLOWED[setting]), "False", str(ALLOWED[setting])]

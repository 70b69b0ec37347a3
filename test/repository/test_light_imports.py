# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What every command imports loads fast: parameters and labels do without PyTorch and Open3D."""

from __future__ import annotations

import subprocess
import sys

import pytest
from paths import REPOSITORY


def loaded_by(modules: str) -> set[str]:
    """The modules that a fresh Python has loaded after ``import modules``."""
    code = f"import sys, {modules}; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    return set(result.stdout.split())


def test_the_settings_load_nothing_of_the_other_rooms():
    loaded = loaded_by("concerto_ros.settings")
    own = {name for name in loaded if name.startswith("concerto_ros.")}
    assert own and all(name.startswith("concerto_ros.settings") for name in own)
    assert not {"numpy", "open3d", "torch"} & loaded


@pytest.mark.parametrize("room", ["cli", "labels", "viz"])
def test_a_room_that_does_not_compute_loads_neither_pytorch_nor_open3d(room):
    files = sorted((REPOSITORY / "concerto_ros" / room).glob("*.py"))
    names = [f"concerto_ros.{room}.{file.stem}" for file in files if not file.stem.startswith("_")]
    assert names
    assert not {"open3d", "torch"} & loaded_by(", ".join(names))

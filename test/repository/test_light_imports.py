# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What every command imports loads fast: parameters and labels do without PyTorch and Open3D."""

from __future__ import annotations

import ast
import os
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


def test_neither_help_nor_a_usage_error_waits_for_pytorch():
    """Whoever mistypes an option is told at once."""
    code = """
import sys
from concerto_ros import cli
from concerto_ros.cli.objects import embed, evaluate, pretrain, train, verify
import argparse
for command in cli.COMMANDS:
    if command != "objects":
        cli._parser([command])
for action in (embed, evaluate, pretrain, train, verify):
    action.add_arguments(argparse.ArgumentParser())
print(*sys.modules)
"""
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert not {"open3d", "torch"} & set(result.stdout.split())


def test_the_names_of_downloads_and_layouts_are_those_that_exist():
    """They are written down a second time, where PyTorch need not be loaded for them."""
    from concerto_ros.cli.download import TEXT_ENCODERS
    from concerto_ros.learning.data import formats
    from concerto_ros.learning.data.layout_names import LAYOUT_NAMES
    from concerto_ros.learning.objects.data.layouts import READERS
    from concerto_ros.learning.objects.names import LAYOUTS, PRESETS
    from concerto_ros.learning.objects.pretraining import recon
    from concerto_ros.learning.objects.pretraining.i2p_mae import recipe
    from concerto_ros.objects.words.text_encoder import DOWNLOADS
    from concerto_ros.words.text_encoder import ENCODERS

    assert (*DOWNLOADS, *ENCODERS[1:]) == TEXT_ENCODERS
    assert tuple(READERS) == LAYOUTS
    assert set(formats.LAYOUTS) == set(LAYOUT_NAMES)
    assert {"recon": tuple(recon.PRESETS), "i2p-mae": tuple(recipe.PRESETS)} == PRESETS


ALLOCATORS = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")
GROWING = "expandable_segments:True"


@pytest.mark.parametrize(
    ("machine", "given", "expected"),
    [
        # PyTorch 2.9 takes it from the second name alone, and warns of that one without the first.
        ("x86_64", {}, dict.fromkeys(ALLOCATORS, GROWING)),
        ("x86_64", {ALLOCATORS[0]: "a:1"}, {ALLOCATORS[0]: "a:1"}),
        ("x86_64", {ALLOCATORS[1]: "a:1"}, {ALLOCATORS[1]: "a:1"}),
        ("aarch64", {}, {}),
    ],
)
def test_memory_of_a_gpu_may_grow_unless_the_user_configured_it(machine, given, expected):
    code = (
        f"import os, platform; platform.machine = lambda: {machine!r}; import concerto_ros;"
        " print({name: value for name, value in os.environ.items() if 'ALLOC_CONF' in name})"
    )
    environment = {name: value for name, value in os.environ.items() if "ALLOC_CONF" not in name}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment | given, capture_output=True, text=True)
    assert ast.literal_eval(done.stdout) == expected, done.stderr

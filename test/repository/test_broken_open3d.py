# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Open3D without the libraries of the system that its wheels load, as in minimal containers."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

LIBGL = "libGL.so.1: cannot open shared object file: No such file or directory"


@pytest.fixture
def run(request, tmp_path):
    """Run Python where importing open3d fails as the loader fails, by default with an OSError."""
    error = getattr(request, "param", "OSError")
    (tmp_path / "fake/open3d").mkdir(parents=True)
    (tmp_path / "fake/open3d/__init__.py").write_text(f"raise {error}({LIBGL!r})\n")
    paths = [str(tmp_path / "fake"), *filter(None, sys.path)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}

    def run(*arguments):
        return subprocess.run(
            [sys.executable, *map(str, arguments)],
            capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=300,
        )  # fmt: skip

    return run


@pytest.mark.parametrize("command", [["--help"], ["segment", "--help"], ["train", "--help"]])
def test_help_does_not_need_it(run, command):
    done = run("-m", "concerto_ros.cli", *command)
    assert done.returncode == 0 and "usage" in done.stdout


def test_labels_of_files_do_not_need_it(run, tmp_path):
    points = np.random.default_rng(0).uniform(0, 2, (2000, 3))
    np.savez(tmp_path / "a.npz", points=points)
    done = run("-m", "concerto_ros.cli", "segment", tmp_path / "a.npz")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a_labels.ply").is_file()
    assert f"Open3D cannot be loaded ({LIBGL})" in done.stderr
    assert "apt install libgl1 libegl1 libx11-6" in done.stderr


@pytest.mark.parametrize("run", ["ImportError"], indirect=True)
def test_the_node_configures_without_it(run):
    pytest.importorskip("rclpy")
    code = """
import rclpy
from concerto_ros.ros.node import PerceptionNode
rclpy.init(args=["--ros-args", "-p", "autostart:=false"])
node = PerceptionNode()
print(node.trigger_configure().name)
"""
    done = run("-c", code)
    assert "SUCCESS" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("run", ["ImportError", "OSError"], indirect=True)
def test_what_needs_it_names_it_and_the_packages(run):
    code = """
from concerto_ros.files.error_text import in_words
try:
    import open3d
except Exception as error:
    print(in_words(error))
"""
    text = run("-c", code).stdout
    assert text.startswith(f"Open3D cannot be loaded: {LIBGL}; on Ubuntu: apt install libgl1")
    assert len(text.splitlines()) == 1

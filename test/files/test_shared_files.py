# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Shipped files are found in the source tree and in every place an installation puts them."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

import pytest
from paths import REPOSITORY

from concerto_ros.files import shared_files as resources
from concerto_ros.learning.demo_model import training as demo_model
from concerto_ros.learning.objects.demo_encoder import training as demo_encoder

SOURCE = REPOSITORY / "concerto_ros" / "files" / "shared_files.py"


def module_at(folder: Path):
    """The module as it is when installed in ``folder``."""
    folder.mkdir(parents=True)
    copy = shutil.copy(SOURCE, folder)
    specification = importlib.util.spec_from_file_location("installed_resources", copy)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def shipped(prefix: Path, text: str) -> Path:
    path = prefix / "share" / "concerto_ros" / "config" / "thing.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return path


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """The module in an environment of its own, with nothing sourced."""
    monkeypatch.delenv("AMENT_PREFIX_PATH", raising=False)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    return module_at(tmp_path / "install/lib/python3.12/site-packages/concerto_ros/files")


def test_the_source_tree_is_looked_in_first(monkeypatch, tmp_path):
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    if not (REPOSITORY / "msg").exists():
        pytest.skip("runs against an installed package")
    assert resources.share_path("config/labels") == REPOSITORY / "config/labels"


def test_ament_prefixes_come_in_their_order(installed, monkeypatch, tmp_path):
    overlay, underlay = shipped(tmp_path / "b", "overlay"), shipped(tmp_path / "a", "underlay")
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{tmp_path}/missing:{tmp_path}/b::{tmp_path}/a")
    assert installed.share_path("config/thing.yaml") == overlay
    overlay.unlink()
    assert installed.share_path("config/thing.yaml") == underlay


def test_the_environment_of_the_running_python_is_looked_in(installed, tmp_path):
    path = shipped(tmp_path / "venv", "")
    assert installed.share_path("config/thing.yaml") == path
    assert installed.share_path("config") == path.parent


def test_a_workspace_that_nobody_sourced_finds_its_own_files(installed, tmp_path):
    path = shipped(tmp_path / "install", "")
    assert installed.share_path("config/thing.yaml") == path


def test_a_folder_beside_an_installed_module_is_not_taken_for_ours(installed, tmp_path):
    stray = tmp_path / "install/lib/python3.12/site-packages/config/thing.yaml"
    stray.parent.mkdir()
    stray.write_text("somebody else's")
    with pytest.raises(FileNotFoundError) as caught:
        installed.share_path("config/thing.yaml")
    assert "config/thing.yaml" in str(caught.value) and str(tmp_path / "venv") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_models_are_in_the_package_wherever_it_is(installed, tmp_path):
    assert resources.asset_path("demo.safetensors").is_file()
    assert resources.asset_path("objects.safetensors").is_file()
    there = tmp_path / "install/lib/python3.12/site-packages/concerto_ros"
    assert installed.asset_path("demo.safetensors") == there / "assets/demo.safetensors"


@pytest.mark.parametrize("page", [demo_model.DOCUMENT, demo_encoder.DOCUMENT])
def test_the_pages_that_a_training_writes_are_in_the_source_tree_alone(page, installed):
    if resources.source_tree() is None:
        pytest.skip("runs against an installed package")
    assert resources.source_path(page) == REPOSITORY / page
    with pytest.raises(FileNotFoundError, match="docs/missing.md does not exist"):
        resources.source_path("docs/missing.md")
    assert installed.source_tree() is None
    with pytest.raises(FileNotFoundError, match=f"{page} is in the source tree only"):
        installed.source_path(page)


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../secret", "config/../../secret"])
def test_only_shipped_files_can_be_asked_for(name):
    with pytest.raises(ValueError, match="name: got"):
        resources.share_path(name)

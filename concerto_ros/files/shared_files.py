# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Paths of the shipped files: models, parameters, label sets, transport profile, RViz views."""

from __future__ import annotations

import os
import sys
from pathlib import Path, PurePosixPath

PACKAGE = "concerto_ros"


def share_path(name: str) -> Path:
    """Find a shipped file or folder, e.g. ``share_path("config/perception.yaml")``.

    It is searched for in the source tree this module belongs to, then in ``share/concerto_ros`` of
    every prefix of ``AMENT_PREFIX_PATH`` (in its order, as ROS 2 overlays), of this Python
    environment, and of the prefix this module is installed under.

    Raises:
        ValueError: ``name`` is absolute or leads out of the shipped files.
        FileNotFoundError: It is nowhere; the message lists the folders searched.
    """
    wanted = PurePosixPath(name)
    if wanted.is_absolute() or ".." in wanted.parts or not wanted.parts:
        raise ValueError(
            f"name: got {name!r}, expected a relative path of a shipped file without '..'"
        )
    folders = _share_folders()
    for folder in folders:
        if (folder / wanted).exists():
            return folder / wanted
    raise FileNotFoundError(
        f"{name!r} of the package {PACKAGE} does not exist in any of:"
        f" {', '.join(map(str, folders))}; install the package again (make setup, or colcon build)"
    )


def asset_path(name: str) -> Path:
    """Return the path of a file in ``assets/``, which is part of every installation."""
    return Path(__file__).resolve().parents[1] / "assets" / name


def source_path(name: str) -> Path:
    """Find a file that only the source tree has, e.g. ``source_path("docs/objects.md")``.

    Raises:
        FileNotFoundError: There is no such file, or no source tree.
    """
    tree = source_tree()
    if tree is None:
        raise FileNotFoundError(
            f"{name} is in the source tree only, and {PACKAGE} is installed; run it from a clone"
        )
    if not (tree / name).exists():
        raise FileNotFoundError(f"{tree / name} does not exist")
    return tree / name


def source_tree() -> Path | None:
    """Return the source tree that this package runs from; None where it is installed."""
    folder = Path(__file__).resolve().parents[2]
    # Only the package's own counts: in an installed environment the folder above is
    # site-packages, where a stray "config" could be anybody's.
    return folder if (folder / "msg" / "SemanticClass.msg").is_file() else None


def _share_folders() -> list[Path]:
    module = Path(__file__).resolve()
    tree = source_tree()
    folders = [] if tree is None else [tree]
    prefixes = [
        prefix for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if prefix
    ]
    prefixes.append(sys.prefix)
    # <prefix>/lib/python3.x/site-packages/concerto_ros/files/shared_files.py, of a workspace that
    # nobody sourced
    prefixes += [str(parent.parent) for parent in module.parents if parent.name == "lib"]
    folders += [Path(prefix) / "share" / PACKAGE for prefix in prefixes]
    return list(dict.fromkeys(folders))

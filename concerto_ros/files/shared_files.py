# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Finds the files beside the code: models, parameters, label sets, transport profile, views."""

from __future__ import annotations

import os
import sys
from pathlib import Path, PurePosixPath

PACKAGE = "concerto_ros"


def share_path(name: str) -> Path:
    """The path of a shipped file or folder, e.g. ``share_path("config/perception.yaml")``.

    Looked for in the source tree this module belongs to, then in ``share/concerto_ros`` of every
    prefix of ``AMENT_PREFIX_PATH`` (in its order, as ROS 2 overlays), of this Python environment,
    and of the prefix this module is installed under.

    Raises
    ------
    ValueError: ``name`` is absolute or leads out of the shipped files.
    FileNotFoundError: nowhere; the message lists the places.
    """
    wanted = PurePosixPath(name)
    if wanted.is_absolute() or ".." in wanted.parts or not wanted.parts:
        raise ValueError(f"name is {name!r}, expected a path inside the package's shared files")
    places = _places()
    for place in places:
        if (place / wanted).exists():
            return place / wanted
    raise FileNotFoundError(
        f"{name!r} of package {PACKAGE} is in none of: {', '.join(map(str, places))}; "
        "install the package again (make setup, or colcon build)"
    )


def asset_path(name: str) -> Path:
    """The path of a file in ``assets/``, which every installation has inside the package."""
    return Path(__file__).resolve().parents[1] / "assets" / name


def source_path(name: str) -> Path:
    """The path of a file that only the source tree has, e.g. ``source_path("docs/objects.md")``.

    Raises FileNotFoundError where there is no such file, or no source tree.
    """
    tree = source_tree()
    if tree is None:
        raise FileNotFoundError(f"{name} is in the source tree of {PACKAGE} alone")
    if not (tree / name).exists():
        raise FileNotFoundError(f"{tree} has no {name}")
    return tree / name


def source_tree() -> Path | None:
    """The source tree that this package is run from; None where it is installed."""
    folder = Path(__file__).resolve().parents[2]
    # Only the package's own counts: in an installed environment the folder above is
    # site-packages, where a stray "config" could be anybody's.
    return folder if (folder / "msg" / "SemanticClass.msg").is_file() else None


def _places() -> list[Path]:
    module = Path(__file__).resolve()
    tree = source_tree()
    places = [] if tree is None else [tree]
    prefixes = [
        entry for entry in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if entry
    ]
    prefixes.append(sys.prefix)
    # <prefix>/lib/python3.x/site-packages/concerto_ros/files/shared_files.py, of a workspace that
    # nobody sourced
    prefixes += [str(parent.parent) for parent in module.parents if parent.name == "lib"]
    places += [Path(prefix) / "share" / PACKAGE for prefix in prefixes]
    return list(dict.fromkeys(places))

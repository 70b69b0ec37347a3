# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The pip side of the package; colcon reads CMakeLists.txt instead.

Metadata stands in pyproject.toml, the version in package.xml alone.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent


def data_files() -> list[tuple[str, list[str]]]:
    """Shipped files by the folder of ``<prefix>/share/concerto_ros`` they belong to."""
    files: dict[str, list[str]] = {"share/concerto_ros": ["package.xml"]}
    for folder in ("config", "launch", "rviz"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                relative = path.relative_to(ROOT)
                files.setdefault(f"share/concerto_ros/{relative.parent}", []).append(str(relative))
    return sorted(files.items())


setup(
    version=ElementTree.parse(ROOT / "package.xml").getroot().findtext("version"),
    packages=find_packages(include=["concerto_ros", "concerto_ros.*"]),
    package_data={
        "concerto_ros": [
            "assets/*",
            "learning/language/*.yaml",
            "ptv3/kernels/native/sources/*",
            "py.typed",
            "sim/library/*.yaml",
        ]
    },
    # An explicit root makes an editable install a plain path entry, under which the package
    # merges with the generated messages; setuptools' import hook would never be asked.
    package_dir={"": "."},
    data_files=data_files(),
)

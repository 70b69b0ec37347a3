# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a container installs is what README.md tells a person to install."""

from __future__ import annotations

import re

import pytest
from paths import REPOSITORY

DOCKERFILES = sorted((REPOSITORY / "docker").glob("*.Dockerfile"))


def installation(page: str) -> list[str]:
    """The commands of the block that builds the package with colcon, one each."""
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```bash\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    (block,) = (block for block in blocks if "colcon build" in block)
    return commands(block)


def commands(text: str) -> list[str]:
    return re.sub(r" *\\\n *", " ", text).splitlines()


def test_the_readme_and_the_quick_start_tell_the_same():
    assert installation("README.md") == installation("docs/quick_start.md")


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.name)
def test_the_steps_of_an_image_are_those_of_the_readme(file):
    # An image has the source by COPY in its work folder; its entry point sources what was built.
    others = ("mkdir", "git clone", "source install", "ros2 launch")
    steps = [line for line in installation("README.md") if not line.startswith(others)]
    assert len(steps) == 5
    text = file.read_text(encoding="utf-8")
    (script,) = re.findall(r"^RUN <<'STEPS'\n(.*?)^STEPS$", text, re.MULTILINE | re.DOTALL)
    assert commands(script) == steps
    assert "WORKDIR /root/ros2_ws\nCOPY . src/concerto_ros\n" in text
    (entry,) = re.findall(r"^ENTRYPOINT .*", text, re.MULTILINE)
    assert "source .venv/bin/activate && source install/setup.bash" in entry


def test_there_is_an_image_for_pcs_and_one_for_jetsons():
    assert [file.name for file in DOCKERFILES] == ["cuda.Dockerfile", "jetson.Dockerfile"]

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The checks before a commit, of ``make lint`` and of CI are the same ones."""

from __future__ import annotations

import re

import yaml
from paths import REPOSITORY

MAKEFILE = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
WORKFLOW = REPOSITORY / ".github" / "workflows" / "ci.yml"


def hooks() -> list[dict]:
    config = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert {repo["repo"] for repo in config["repos"]} == {"local"}  # versions: constraints.txt
    return [hook for repo in config["repos"] for hook in repo["hooks"]]


def test_every_check_of_make_lint_runs_before_a_commit():
    lint = re.search(r"^lint: setup\n((?:\t.+\n)+)", MAKEFILE, re.MULTILINE)[1]
    checks = re.findall(r"^\t\$\(BIN\)/(.+)$", lint, re.MULTILINE)
    # A commit is checked by its files, and what can be mended is mended.
    checks = [re.sub(r" --check| \.github/workflows$| \.$", "", check) for check in checks]
    entries = [hook["entry"].removeprefix(".venv/bin/") for hook in hooks()]
    entries = [re.sub(r" --force-exclude| --fix$", "", entry) for entry in entries]
    assert len(checks) > 5 and set(checks) <= set(entries)


def test_hooks_take_their_tools_from_the_environment_that_make_sets_up():
    others = [hook["id"] for hook in hooks() if not hook["entry"].startswith(".venv/bin/")]
    assert others == ["actionlint"]  # it fetches a program, which make setup does not
    assert all("==" in pin for hook in hooks() for pin in hook.get("additional_dependencies", ()))


def test_ci_runs_the_commands_of_the_makefile_on_every_python_that_is_supported():
    workflow = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    steps = {name: job["steps"] for name, job in workflow["jobs"].items()}
    commands = {name: [step.get("run") for step in job] for name, job in steps.items()}
    assert "make lint" in commands["lint"] and "make test" in commands["test"]
    assert workflow["jobs"]["test"]["strategy"]["matrix"]["python"] == ["3.11", "3.12"]
    skipped = re.search(r'--skip-keys "([^"]+)"', "\n".join(filter(None, commands["colcon"])))[1]
    assert f'skip-keys "{skipped}"' in (REPOSITORY / "package.xml").read_text(encoding="utf-8")

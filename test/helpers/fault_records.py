# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the tests of faults found out, kept for the table of ``docs/reliability.md``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

_FOUND = pytest.StashKey[list[dict]]()
_ALL = pytest.StashKey[dict[str, dict]]()


def add_options(parser: pytest.Parser) -> None:
    group = parser.getgroup("faults")
    group.addoption("--faults", metavar="FILE", help="write what the tests of faults found")
    group.addoption(
        "--nightly", action="store_true", help="many more cases, and the tests that take long"
    )


@pytest.fixture
def fault(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Says what a test of a fault found out, as the last thing the test does.

    ``fault(name, cases=, did=, lost=)``: how many cases were tried, what the node did, and what
    of the sensors' data or of the stored files was lost. Tests of one name are one row of the
    table, their cases added up.
    """
    found = request.node.stash.setdefault(_FOUND, [])

    def record(name: str, *, cases: int, did: str, lost: str) -> None:
        found.append({"fault": name, "cases": cases, "did": did, "lost": lost})

    return record


@pytest.fixture
def nightly(request: pytest.FixtureRequest) -> bool:
    """Whether there is time for many cases."""
    return request.config.getoption("--nightly")


def mark(items: list[pytest.Item]) -> None:
    """Give every test that says what it found out the marker ``fault``."""
    for item in items:
        if "fault" in getattr(item, "fixturenames", ()):
            item.add_marker("fault")


def keep(item: pytest.Item, report: pytest.TestReport) -> None:
    """Remember what a test found, or that it failed."""
    if item.get_closest_marker("fault") is None or report.skipped:
        return
    every = item.config.stash.setdefault(_ALL, {})
    entry = every.setdefault(item.nodeid, {"passed": True, "found": []})
    entry["passed"] = entry["passed"] and report.passed
    if report.when == "call":
        entry["found"] = item.stash.get(_FOUND, [])


def write(config: pytest.Config) -> None:
    """Write the records of this run to the file of ``--faults``."""
    path = config.getoption("--faults")
    if path:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        content = {
            "nightly": config.getoption("--nightly"),
            "tests": config.stash.get(_ALL, {}),
        }
        Path(path).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the tests of faults found out, kept for the table of ``docs/reliability.md``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

_FOUND = pytest.StashKey[list[dict]]()


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
    """Put what a test found on its report, which also comes from processes of pytest-xdist."""
    if item.get_closest_marker("fault") is not None and not report.skipped:
        report.found = item.stash.get(_FOUND, []) if report.when == "call" else []


class Records:
    """A plugin that gathers what the tests found and writes it to the file of ``--faults``."""

    def __init__(self, config: pytest.Config):
        self._nightly = config.getoption("--nightly")
        self._path = Path(config.getoption("--faults"))
        self._tests: dict[str, dict] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not hasattr(report, "found"):
            return
        entry = self._tests.setdefault(report.nodeid, {"passed": True, "found": []})
        entry["passed"] = entry["passed"] and report.passed
        entry["found"] += report.found

    def pytest_sessionfinish(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        content = {"nightly": self._nightly, "tests": self._tests}
        self._path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The verdict on a long run, and the page that its numbers go into."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import pytest
from paths import REPOSITORY
from PIL import Image

from benchmarks.soak_verdict import Sample, judge, table
from benchmarks.time_plot import plot_over_time

TOOL = REPOSITORY / "tools" / "reliability.py"

DROPS = {"superseded": 1999, "unpaired": 1}


def run(count: int = 200, **changes) -> list[Sample]:
    """A run in which all is well; ``changes`` give a number by the second."""
    samples = []
    for second in range(count + 1):
        sample = {
            "seconds": float(second),
            "megabytes": 900.0 + 20 * (second % 3),
            "descriptors": 40,
            "threads": 30,
            "latency_ms": 300.0 + 10 * (second % 7),
            "received": 20 * second,
            "fused": 10 * second,
            "dropped": 10 * second,
            "inferences": 5 * second,
            "failures": 0,
            "voxels": 20_000,
        }
        samples.append(
            Sample(**(sample | {name: change(second) for name, change in changes.items()}))
        )
    return samples


def missed(samples, sent=None, drops=DROPS, alive=True) -> list[str]:
    checks = judge(samples, sent or {"lidar": 2000, "camera": 2100}, drops, alive)
    assert table(checks).count("NOT") == sum(not check.held for check in checks)
    return [check.name for check in checks if not check.held]


def test_a_run_without_faults_passes():
    assert missed(run()) == []


def test_a_recording_may_not_say_how_much_it_sent():
    assert missed(run(), sent={"unknown": 0}) == ["sent by the sensors"]
    checks = judge(run(), {}, DROPS, True)
    assert all(check.held for check in checks)
    assert "the node receives" in {check.name for check in checks}


def test_seconds_after_a_restart_have_no_latency():
    checks = judge(run(latency_ms=lambda s: math.nan if s % 3 else 300.0), {}, DROPS, True)
    assert all(check.held for check in checks) and "nan" not in table(checks)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"megabytes": lambda s: 900.0 + s}, "memory is flat"),
        ({"descriptors": lambda s: 40 + s // 10}, "descriptors is flat"),
        ({"threads": lambda s: 30 + s // 10}, "threads is flat"),
        ({"latency_ms": lambda s: 300.0 + 3 * s}, "stamp to labels is flat"),
        ({"failures": lambda s: s // 200}, "no frame is lost inside"),
        ({"inferences": lambda s: min(s, 40)}, "labels"),
        ({"fused": lambda s: 10 * s - (s > 100)}, "every frame is accounted for"),
    ],
)
def test_what_does_not_hold_is_named(changes, name):
    assert missed(run(**changes)) == [name]


def test_drops_must_have_a_known_reason_and_none_an_error_inside():
    assert missed(run(), drops={"magic": 2000}) == ["every frame is accounted for"]
    assert missed(run(), drops={"superseded": 1999, "internal": 1}) == ["no frame is lost inside"]


def test_more_frames_than_were_sent_do_not_hold():
    assert missed(run(), sent={"lidar": 1000, "camera": 1000}) == ["sent by the sensors"]


def test_a_node_that_died_does_not_hold():
    assert missed(run(), alive=False) == missed(run(5)) == ["the node lives"]


def test_memory_that_grows_while_the_map_fills_is_no_leak():
    assert missed(run(megabytes=lambda s: 500.0 + 10 * min(s, 40))) == []


def test_numbers_over_time_become_a_picture(tmp_path):
    lines = {"MB": [(0.0, 1.0), (60.0, 3.0)], "ms": [(0.0, float("nan"))], "nothing": []}
    plot_over_time(lines, "a run", tmp_path / "a.png")
    assert Image.open(tmp_path / "a.png").size[0] > 1000


# The page ----------------------------------------------------------------------------------------

PAGE = """# Reliability
<!-- faults: begin -->
old
<!-- faults: end -->
between
<!-- soak: begin -->
<!-- soak: end -->
<!-- recording: begin -->
<!-- recording: end -->
"""


def found(name: str, cases: int, did: str = "goes on", lost: str = "nothing") -> dict:
    return {"fault": name, "cases": cases, "did": did, "lost": lost}


def write_page(tmp_path, tests: dict, *more: str) -> tuple[int, str, str]:
    page, faults = tmp_path / "page.md", tmp_path / "faults.json"
    page.write_text(PAGE)
    faults.write_text(json.dumps({"nightly": True, "tests": tests}))
    done = subprocess.run(
        [sys.executable, TOOL, "--page", page, "--faults", faults, *more],
        capture_output=True,
        text=True,
    )
    return done.returncode, page.read_text(), done.stderr


def test_the_page_has_one_row_for_each_fault(tmp_path):
    tests = {
        "a": {"passed": True, "found": [found("noise", 1200), found("heat", 1, "melts", "it")]},
        "b": {"passed": True, "found": [found("noise", 300, lost="a frame")]},
    }
    status, page, _ = write_page(tmp_path, tests)
    assert status == 0
    assert "| noise | 1,500 | goes on | nothing; a frame |" in page
    assert "| heat | 1 | melts | it |" in page
    assert "old" not in page and "between" in page and page.startswith("# Reliability")


def test_no_page_is_written_of_tests_that_failed(tmp_path):
    status, page, said = write_page(tmp_path, {"a": {"passed": False, "found": []}})
    assert status == 1 and page == PAGE and "these tests failed:\n  a" in said


@pytest.mark.parametrize("part", ["soak", "recording"])
def test_the_page_has_the_verdict_of_each_part_of_the_soak(tmp_path, part):
    soak = tmp_path / f"{part}.json"
    soak.write_text(
        json.dumps({"about": "Ten minutes.", "numbers": {"memory": "5 MB"}, "verdict": "Held."})
    )
    _, page, _ = write_page(tmp_path, {}, f"--{part}", str(soak))
    written = page.split(f"<!-- {part}: begin -->")[1].split(f"<!-- {part}: end -->")[0]
    assert "Ten minutes." in written and "| memory | 5 MB |" in written and "Held." in written

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Many bags: found below a folder and spread over processes, each by itself when one fails."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace

import pytest
from bag_recordings import added, drive, write

from concerto_ros.bags.reader import BagError
from concerto_ros.cli import main
from concerto_ros.offline.job import Job
from concerto_ros.offline.many_jobs import find_bags, plan_jobs, run_in_processes


def test_bags_are_found_below_a_folder(tmp_path):
    for name in ("b/two", "a", "b/one"):
        write(tmp_path / "all" / name, drive(1))
    (tmp_path / "all" / ".x.parts").mkdir()
    names = [path.relative_to(tmp_path / "all") for path in find_bags(tmp_path / "all")]
    assert [str(name) for name in names] == ["a", "b/one", "b/two"]
    jobs = plan_jobs(Job(tmp_path / "all", tmp_path / "all" / "b"))
    assert [job.out.relative_to(tmp_path / "all").as_posix() for job in jobs] == ["b/a"]
    file = next((tmp_path / "all" / "a").glob("*.db3"))
    assert find_bags(file) == [file]
    (tmp_path / "empty").mkdir()
    with pytest.raises(BagError, match="there is no bag in"):
        find_bags(tmp_path / "empty")


def test_bags_of_ros_1_in_a_folder_are_refused_with_the_way_out(tmp_path, capsys):
    (tmp_path / "old" / "day").mkdir(parents=True)
    for name in ("one.bag", "day/two.bag"):
        (tmp_path / "old" / name).write_text("#ROSBAG V2.0")
    assert main(["bag", str(tmp_path / "old"), str(tmp_path / "out"), "--jobs", "1"]) == 1
    text = capsys.readouterr().err
    assert text.count("ROS 1; convert it: rosbags-convert --src") == 2
    assert text.count(str(tmp_path / "old" / "one.bag")) == 2  # once named, once in the command


def test_a_folder_of_bags_is_spread_over_processes(tmp_path, capsys):
    folder, labelled = tmp_path / "all", tmp_path / "labelled"
    for name in ("one", "two"):
        write(folder / name, drive())
    (folder / "broken").mkdir()
    (folder / "broken" / "broken.mcap").write_bytes(b"not a bag")
    command = ["bag", str(folder), str(labelled), "--part-seconds", "0.4", "--jobs", "2"]
    assert main(command) == 1
    said = capsys.readouterr()
    assert "10 received = 10 used + 0 dropped" in said.out
    assert "broken" in said.err and "1 of 3 bags failed" in said.err
    assert len(added(labelled / "one")) == 13
    assert added(labelled / "one") == added(labelled / "two")
    assert not (labelled / "broken").exists()


class Deadly(dict):
    """Settings that kill the process which reads them."""

    def kill(self, *_):
        os.kill(os.getpid(), signal.SIGKILL)

    get = keys = __iter__ = kill


def test_a_process_that_is_killed_costs_its_own_bag_alone(tmp_path):
    source = write(tmp_path / "in", drive())
    jobs = [Job(source, tmp_path / name, every=10.0) for name in ("a", "b", "c")]
    jobs[1] = replace(jobs[1], overrides=Deadly())
    outcomes = {job.out.name: outcome for job, outcome in run_in_processes(jobs, 2)}
    assert sorted(outcomes) == ["a", "b", "c"]
    assert "killed" in str(outcomes.pop("b")) and not (tmp_path / "b").exists()
    assert [outcome["used"] for outcome in outcomes.values()] == [10, 10]


@pytest.mark.parametrize("name, out", [("all", "all"), ("all", "."), ("all/one", "all")])
def test_bags_are_not_written_over_their_sources(tmp_path, capsys, name, out):
    write(tmp_path / "all" / "one", drive(1))
    write(tmp_path / "all" / "two", drive(1))
    assert main(["bag", str(tmp_path / name), str(tmp_path / out)]) == 1
    said = capsys.readouterr().err
    assert f"OUT: got {tmp_path / out}, which is IN ({tmp_path / name}) or contains it" in said
    assert sorted(entry.name for entry in (tmp_path / "all").iterdir()) == ["one", "two"]


def test_what_comes_of_a_bag_does_not_lie_in_it(tmp_path, capsys):
    source = write(tmp_path / "one", drive(1))
    before = sorted(entry.name for entry in source.iterdir())
    assert main(["bag", str(source), str(source / "labelled")]) == 1
    assert f"is inside the bag {source}, expected a path beside IN" in capsys.readouterr().err
    assert sorted(entry.name for entry in source.iterdir()) == before


def test_ray_is_asked_for_by_name_where_it_is_missing(tmp_path, capsys, monkeypatch):
    source = write(tmp_path / "in", drive(1))
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(["bag", str(source), str(tmp_path / "out"), "--ray", "local"]) == 1
    said = capsys.readouterr().err
    assert "pip install ray" in said and len(said.splitlines()) == 1

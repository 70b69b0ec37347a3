# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Bags on a Ray cluster, also when a machine of it dies on the way."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from pathlib import Path

import pytest
from bag_recordings import DEADLINE, added, drive, label, write

from concerto_ros.bags.reader import BagError
from concerto_ros.cli import main
from concerto_ros.offline.job import Job
from concerto_ros.offline.many_jobs import run_when_free


@pytest.fixture(autouse=True)
def ray_settings(monkeypatch):
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_health_check_period_ms", "1000")  # of 3000
    monkeypatch.setenv("RAY_worker_niceness", "0")  # of 15, which waits for all other tests


@pytest.fixture
def cluster():
    """A Ray cluster of two machines that label, one bag each, and a head that does not."""
    tools = pytest.importorskip("ray.cluster_utils", reason="Ray comes with the extra ray")
    one = tools.Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}
    )
    for _ in range(2):
        one.add_node(num_cpus=1)
    yield one
    one.shutdown()


def test_this_machine_alone_runs_the_same_jobs(tmp_path):
    pytest.importorskip("ray", reason="Ray comes with the extra ray")
    source = write(tmp_path / "in", drive())
    label(source, tmp_path / "here", part_seconds=0.4)
    command = ["bag", str(source), str(tmp_path / "out"), "--part-seconds", "0.4"]
    assert main([*command, "--ray", "local"]) == 0
    assert added(tmp_path / "out") == added(tmp_path / "here")


def machine_with(cluster, file):
    """The machine of the cluster one of whose workers has ``file`` open."""
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if os.readlink(link) == str(file):
                stat = Path("/proc", link.parts[2], "stat").read_text()
                parent = int(stat.rpartition(")")[2].split()[1])
                for machine in cluster.worker_nodes:
                    if machine.all_processes["raylet"][0].process.pid == parent:
                        return machine
    raise AssertionError(f"nobody has {file} open")


def test_a_machine_that_dies_on_the_way_loses_nothing(cluster, tmp_path, capsys):
    folder, out = tmp_path / "all", tmp_path / "labelled"
    names = ("one", "three", "two")
    for name in names:
        write(folder / name, drive(40))
    whole = label(folder / "one", tmp_path / "here", part_seconds=0.4)
    left = []

    def kill_a_machine():
        end, parts = time.monotonic() + DEADLINE, []
        while not parts and time.monotonic() < end:
            time.sleep(0.01)
            parts = list(out.glob(".*.parts/part_00000"))
        machine = machine_with(cluster, parts[0].parent / "lock")
        cluster.remove_node(machine, allow_graceful=False)
        left.append(parts[0].exists())  # else the bag was finished before

    killer = threading.Thread(target=kill_a_machine)
    killer.start()
    command = ["bag", str(folder), str(out), "--part-seconds", "0.4", "--ray", cluster.address]
    status = main(command)
    killer.join()
    said = capsys.readouterr()
    assert status == 0, said.err
    assert left == [True]
    for name in names:
        assert added(out / name) == added(tmp_path / "here")
        assert f"{name}: map labelled {whole['labelled']} times" in said.out
    assert not list(out.glob(".*"))


def test_a_bag_that_a_dead_machine_still_holds_is_waited_for(tmp_path):
    job = Job(write(tmp_path / "in", drive(2)), tmp_path / "out")
    (tmp_path / ".out.parts").mkdir()
    with open(tmp_path / ".out.parts" / "lock", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(BagError, match="another process is writing"):
            run_when_free(job, patience=0.1)
        release = threading.Timer(0.2, fcntl.flock, (held, fcntl.LOCK_UN))
        release.start()
        assert run_when_free(job, patience=DEADLINE)["used"] == 2
        release.join()

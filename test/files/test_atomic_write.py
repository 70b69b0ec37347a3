# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A file that is written stays whole, whatever happens to who writes it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time

import pytest
from killed_writer import (
    STEPS,
    numbered_map,
    process,
    write_and_die,
    write_for_ever,
    write_without_room,
)

from concerto_ros.files.atomic_write import replacing
from concerto_ros.mapping.map_file import MapFileError, read_map, write_map

#: A process is up and has written by then, seconds.
DEADLINE = 30.0


def wait(condition, what):
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, f"waited {DEADLINE:g} s for {what}"
        time.sleep(0.005)


def number_in(path) -> int:
    """The number of a map that is whole."""
    snapshot = read_map(path, 10_000).snapshot
    assert len(snapshot) == 3000 and (snapshot.points == snapshot.stamp).all()
    return snapshot.stamp


def test_what_is_written_takes_the_place_of_the_old_file(tmp_path):
    path = tmp_path / "deep" / "a.bin"
    for content in (b"one", b"two"):
        with replacing(path) as partial:
            partial.write_bytes(content)
        assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(KeyError), replacing(path) as partial:
        partial.write_bytes(b"new")
        raise KeyError("a")
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_what_killed_writers_left_goes_and_what_others_write_stays(tmp_path):
    gone = subprocess.Popen(["true"])
    gone.wait()
    left = tmp_path / f".[a].bin.{gone.pid}.partial"
    living = tmp_path / f".[a].bin.{os.getppid()}.partial"
    other = tmp_path / f".b.bin.{gone.pid}.partial"
    for path in (left, living, other):
        path.write_bytes(b"half")
    with replacing(tmp_path / "[a].bin") as partial:
        partial.write_bytes(b"new")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted(
        [living.name, other.name, "[a].bin"]
    )


@pytest.mark.parametrize("step", STEPS)
def test_a_writer_that_is_killed_at_any_step_leaves_a_whole_file(tmp_path, step, fault):
    path = tmp_path / "a.safetensors"
    write_map(path, numbered_map(1))
    writer = process(write_and_die, path, step)
    writer.join(DEADLINE)
    assert writer.exitcode == -signal.SIGKILL
    assert number_in(path) == (2 if step == "folder" else 1)
    write_map(path, numbered_map(3))
    assert number_in(path) == 3 and list(tmp_path.iterdir()) == [path]
    fault(
        "kill -9 while a map is written, at each step",
        cases=1,
        did="the file is either the old or the new one, complete; the next write removes"
        " leftovers",
        lost="the map that was being written",
    )


def test_a_writer_that_is_killed_at_any_time_leaves_a_whole_file(tmp_path, nightly, fault):
    path = tmp_path / "a.safetensors"
    moments = random.Random(0)
    cases = 200 if nightly else 15
    for _ in range(cases):
        path.unlink(missing_ok=True)
        writer = process(write_for_ever, path)
        wait(path.exists, "the first map")
        time.sleep(moments.uniform(0, 0.03))
        os.kill(writer.pid, signal.SIGKILL)
        writer.join(DEADLINE)
        assert number_in(path) >= 1
    fault(
        "kill -9 while maps are written, at a random time",
        cases=cases,
        did="the file is complete",
        lost="the map that was being written",
    )


@pytest.mark.parametrize("room", [0, 100, 5000, 100_000])
def test_without_room_on_the_disk_the_old_file_stays(tmp_path, room, fault):
    path = tmp_path / "a.safetensors"
    write_map(path, numbered_map(1))
    writer = process(write_without_room, path, room)
    writer.join(DEADLINE)
    assert writer.exitcode == 3
    assert number_in(path) == 1 and list(tmp_path.iterdir()) == [path]
    fault(
        "disk full while a map is saved",
        cases=1,
        did="an error with the reason; the old file stays, without leftovers",
        lost="the map that was to be saved",
    )


def test_a_full_disk_leaves_the_old_file(tmp_path, fault):
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(tmp_path)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"no file system may be mounted here: {mounted.stderr.decode().strip()}")
    try:
        path = tmp_path / "a.safetensors"
        write_map(path, numbered_map(1))
        with pytest.raises(MapFileError, match="No space left on device"):
            write_map(path, numbered_map(2))
        assert number_in(path) == 1 and list(tmp_path.iterdir()) == [path]
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
    fault(
        "disk full while a map is saved",
        cases=1,
        did="an error with the reason; the old file stays, without leftovers",
        lost="the map that was to be saved",
    )

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Processes that write maps and are killed, or have no room, while they do."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np

from concerto_ros.files import atomic_write as whole_file
from concerto_ros.mapping import map_file
from concerto_ros.mapping.map_file import MapFileError, StoredMap, write_map
from concerto_ros.mapping.map_snapshot import MapSnapshot
from concerto_ros.mapping.voxel_grid import pack

#: Where a writer may be killed: before the file is written, with half of it written, and before
#: each call that makes it last.
STEPS = ("before", "half", "fsync", "replace", "folder")


def numbered_map(number: int, voxels: int = 3000) -> StoredMap:
    """A map in which every value is ``number``, and every index its own row."""
    index = np.zeros((voxels, 3), np.int32)
    index[:, 0] = np.arange(voxels)
    of_three = np.full((voxels, 3), number, np.float32)
    single = np.full(voxels, number, np.float32)
    stamps = np.full(voxels, number, np.int64)
    snapshot = MapSnapshot(
        keys=pack(index),
        index=index,
        points=of_three,
        colors=of_three,
        has_color=np.ones(voxels, bool),
        normals=of_three,
        sensor_directions=of_three,
        stamps=stamps,
        first_seen=stamps,
        stamp=number,
        robot=np.zeros(3),
        voxel_size=0.1,
        frames=1,
    )
    return StoredMap(
        snapshot,
        label=np.zeros(voxels, np.uint8),
        confidence=single,
        entropy=single,
        fixed_frame="odom",
        classes=("floor",),
    )


def process(work: Callable[..., None], *arguments) -> multiprocessing.Process:
    """A started process that runs ``work``; a fork, since others import PyTorch for seconds."""
    context = multiprocessing.get_context("fork")
    started = context.Process(target=work, args=arguments, daemon=True)
    started.start()
    return started


def write_for_ever(path: Path) -> None:
    """Write maps 1, 2, 3, ... to ``path``."""
    number = 0
    while True:
        number += 1
        write_map(path, numbered_map(number))


def write_and_die(path: Path, step: str) -> None:
    """Write map 2 to ``path`` and be killed at ``step``."""

    def die(*_) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def write_half(partial: Path, *_) -> None:
        write_tensors(partial, *_)
        os.truncate(partial, os.path.getsize(partial) // 2)
        die()

    write_tensors = map_file.write_tensors
    if step == "before":
        map_file.write_tensors = die
    elif step == "half":
        map_file.write_tensors = write_half
    elif step == "replace":
        os.replace = die
    else:
        flush, calls = whole_file._flush, iter(("fsync", "folder"))
        whole_file._flush = lambda *given: die() if next(calls) == step else flush(*given)
    write_map(path, numbered_map(2))


def write_without_room(path: Path, room: int) -> None:
    """Write map 2 to ``path`` in a process whose files may have ``room`` bytes; tell by status."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
    try:
        write_map(path, numbered_map(2))
    except MapFileError as error:
        os._exit(3 if "cannot be written" in str(error) else 4)
    os._exit(0)

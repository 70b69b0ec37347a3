# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The folder of an unfinished bag: finished segments, so that a killed run can be resumed."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from concerto_ros.bags.reader import BagError
from concerto_ros.files.atomic_write import replacing
from concerto_ros.files.torch_file import read_tensors
from concerto_ros.offline.counts import Counts

#: The files of a segment: its counts, the state of the pipeline at its end, a bag of outputs.
COUNTS, MEMORY, OUTPUTS = "counts.json", "memory.pt", "outputs"

#: Entries that the runs of 0.1 did not have, with what is true of them.
ENTRIES_OF_0_1 = {"outputs": ["classes", "labels", "pca"]}


class BagInUseError(BagError):
    """Another process is writing the bag."""


class Work:
    """The folder ``.NAME.parts`` beside the bag NAME that is being written.

    Everything in it is written, synchronised and then renamed: after a kill at any moment a
    segment is complete or does not exist.
    """

    def __init__(self, out: Path, run: dict[str, Any]):
        """Describe a run without touching the disk.

        Args:
            out: The bag to write.
            run: Description of the run that the segments belong to, in plain values as JSON reads
                them back.
        """
        self._out = out
        self._run = run
        self._folder = out.with_name(f".{out.name}.parts")

    @contextmanager
    def held(self) -> Iterator[None]:
        """Create or resume the folder, and lock it against other processes.

        Raises:
            BagInUseError: Another process has locked it.
            BagError: Its segments belong to another run.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with open(self._folder / "lock", "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BagInUseError(
                    f"another process is writing {self._out}; wait for it, or choose another path"
                ) from None
            self._check_run()
            for leftover in self._folder.glob(".*"):
                shutil.rmtree(leftover, ignore_errors=True)
            yield

    def has(self, number: int) -> bool:
        """Return whether a segment is finished."""
        return self._part(number).is_dir()

    @contextmanager
    def adding(self, number: int) -> Iterator[Path]:
        """Provide a folder that becomes the segment ``number`` if the body raises no error."""
        unfinished = self._folder / f".part_{number:05d}"
        unfinished.mkdir()
        try:
            yield unfinished
            _synchronise(unfinished)
            unfinished.rename(self._part(number))
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)

    def counts(self, number: int) -> Counts:
        """Return the counts of a finished segment."""
        return Counts.read(self._part(number) / COUNTS)

    def memory(self, number: int) -> dict[str, torch.Tensor]:
        """Return the state of the pipeline at the end of a finished segment."""
        return read_tensors(self._part(number) / MEMORY)

    def outputs(self, number: int) -> Path:
        """Return the path of the bag of a finished segment's outputs."""
        return self._part(number) / OUTPUTS

    @contextmanager
    def publishing(self, summary: dict[str, Any]) -> Iterator[Path]:
        """Provide a path for the finished bag, which is renamed to its name at the end.

        Its summary is written beside it, and the segments are removed.
        """
        whole = self._folder / ".whole"
        whole.mkdir()
        yield whole / self._out.name
        _synchronise(whole)
        with replacing(summary_path(self._out)) as partial:
            partial.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
        (whole / self._out.name).rename(self._out)
        shutil.rmtree(self._folder)

    def is_of(self, run: Any) -> bool:
        """Return whether ``run``, as read from a file, describes this run."""
        return isinstance(run, dict) and ENTRIES_OF_0_1 | run == self._run

    def remove(self) -> None:
        """Remove the segments of a run that was killed after its bag was finished."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _part(self, number: int) -> Path:
        return self._folder / f"part_{number:05d}"

    def _check_run(self) -> None:
        path = self._folder / "run.json"
        if not path.exists():
            with replacing(path) as partial:
                partial.write_text(json.dumps(self._run, indent=2), encoding="utf-8")
            return
        found = _flat(ENTRIES_OF_0_1 | json.loads(path.read_text(encoding="utf-8")))
        own = _flat(self._run)
        unshared = sorted(found.keys() ^ own.keys())
        if unshared:
            raise BagError(
                f"{self._folder} holds segments of a run by another version of concerto_ros: only"
                f" one of the two has {', '.join(unshared)}; finish it with that version, or"
                " remove it to start from scratch"
            )
        different = [name for name in own if found[name] != own[name]]
        if different:
            raise BagError(
                f"{self._folder} holds segments of a run with different {', '.join(different)};"
                " use"
                " the same bag and options to resume it, or remove it to start from scratch"
            )


def summary_path(out: Path) -> Path:
    """Return the path of the JSON file beside a finished bag."""
    return out.with_name(f"{out.name}.json")


def read_summary(out: Path) -> dict[str, Any] | None:
    """Read the summary of a finished bag; None where it does not exist or is invalid."""
    try:
        content = json.loads(summary_path(out).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if out.is_dir() and isinstance(content, dict) else None


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Values by dotted names."""
    values: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            values |= _flat(value, f"{prefix}{name}.")
        else:
            values[prefix + name] = value
    return values


def _synchronise(folder: Path) -> None:
    """Flush everything in ``folder`` to the disk."""
    for path in (*folder.rglob("*"), folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

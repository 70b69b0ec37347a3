# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The folder of an unfinished bag: whole parts, so that a killed run goes on where it was."""

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

#: What a part holds beside the bag of its outputs.
COUNTS, MEMORY, OUTPUTS = "counts.json", "memory.pt", "outputs"


class Work:
    """``.NAME.parts`` beside the bag NAME that is to be written.

    Everything in it appears by a rename after it was written and synchronised: a kill at any
    moment leaves a part whole or not there. ``run`` describes the run that the parts belong to,
    in plain values as JSON gives them back.
    """

    def __init__(self, out: Path, run: dict[str, Any]):
        self._out = out
        self._run = run
        self._folder = out.with_name(f".{out.name}.parts")

    @contextmanager
    def held(self) -> Iterator[None]:
        """Make the folder, or go on with it, while no other process does.

        Raises BagError where one does, or where the parts are those of another run.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with open(self._folder / "lock", "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BagError(f"another process is at work on {self._out}") from None
            self._check_run()
            for leftover in self._folder.glob(".*"):
                shutil.rmtree(leftover, ignore_errors=True)
            yield

    def has(self, number: int) -> bool:
        """Whether a part is there."""
        return self._part(number).is_dir()

    @contextmanager
    def adding(self, number: int) -> Iterator[Path]:
        """A folder that becomes the part ``number`` when the body ends without an error."""
        unfinished = self._folder / f".part_{number:05d}"
        unfinished.mkdir()
        try:
            yield unfinished
            _synchronise(unfinished)
            unfinished.rename(self._part(number))
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)

    def counts(self, number: int) -> Counts:
        """What the run counted in a part."""
        return Counts.read(self._part(number) / COUNTS)

    def memory(self, number: int) -> dict[str, torch.Tensor]:
        """What the pipeline remembered at the end of a part."""
        return read_tensors(self._part(number) / MEMORY)

    def outputs(self, number: int) -> Path:
        """The bag of a part's outputs."""
        return self._part(number) / OUTPUTS

    @contextmanager
    def publishing(self, summary: dict[str, Any]) -> Iterator[Path]:
        """A path for the whole bag, which appears under its name at the end, its summary beside.

        The parts are removed then.
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
        """Whether ``run``, as read from a file, is this run."""
        return run == self._run

    def remove(self) -> None:
        """Remove what a run left that was killed after its bag had appeared."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _part(self, number: int) -> Path:
        return self._folder / f"part_{number:05d}"

    def _check_run(self) -> None:
        path = self._folder / "run.json"
        if not path.exists():
            with replacing(path) as partial:
                partial.write_text(json.dumps(self._run, indent=2), encoding="utf-8")
            return
        found = json.loads(path.read_text(encoding="utf-8"))
        unlike = [name for name in self._run if found.get(name) != self._run[name]]
        if unlike:
            raise BagError(
                f"{self._folder} holds parts of a run with other {', '.join(unlike)}; use the same"
                " bag and options to go on with it, or remove it to start afresh"
            )


def summary_path(out: Path) -> Path:
    """The JSON file beside a finished bag."""
    return out.with_name(f"{out.name}.json")


def read_summary(out: Path) -> dict[str, Any] | None:
    """The summary of a finished bag, None where it is not there or not one."""
    try:
        content = json.loads(summary_path(out).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if out.is_dir() and isinstance(content, dict) else None


def _synchronise(folder: Path) -> None:
    """Wait until everything in ``folder`` is on the disk."""
    for path in (*folder.rglob("*"), folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The state file of a training run, from which a killed run resumes."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

from concerto_ros.files.finite_tensors import not_finite
from concerto_ros.files.torch_file import read_tensors, write_file

#: Seconds between two saves of a run's state, longer if saving takes long.
SAVE_SECONDS = 60.0


class StateFile:
    """The file ``training.pt`` in the folder of a run, and when it has to be written.

    Args:
        folder: Folder of the run; None: the run is not saved.
    """

    def __init__(self, folder: Path | None):
        self._path = None if folder is None else Path(folder) / "training.pt"
        self._write_at = math.inf

    def __bool__(self) -> bool:
        return self._path is not None

    def read(self, run: dict[str, Any]) -> dict[str, Any] | None:
        """The state of ``run``, as of :func:`load_training`; None where there is none yet.

        A missing folder is made: what cannot be made must not be found out after the training.

        Raises:
            ValueError: As :func:`load_training`.
            OSError: The folder cannot be made.
        """
        if self._path is None:
            return None
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if not self._path.is_file():
            return None
        return load_training(self._path, run)

    def write(self, state: dict[str, Any]) -> None:
        """Write a state; it is due again after a minute, or after 50 times the time it took."""
        assert self._path is not None  # asked for by bool()
        start = time.monotonic()
        save_training(self._path, state)
        # A kill costs minutes at most, and saving a fiftieth of the time.
        self._write_at = start + max(SAVE_SECONDS, 50 * (time.monotonic() - start))

    def wait(self) -> None:
        """Let the time until the next saving begin now."""
        self._write_at = time.monotonic() + SAVE_SECONDS

    @property
    def due(self) -> bool:
        """Whether it is time to write."""
        return time.monotonic() > self._write_at


def save_training(path: Path, state: dict[str, Any]) -> None:
    """Write a run's state atomically: a kill leaves the old file or the new one, complete."""
    write_file(path, state)


def load_training(path: Path, run: dict[str, Any]) -> dict[str, Any]:
    """Read a run's state.

    Args:
        path: The file that :func:`save_training` wrote.
        run: Identity of the run that is to resume, by name; compared with the file's ``run``.

    Raises:
        ValueError: The file belongs to another run or to a version with another optimizer, or its
            weights are not finite.
    """
    state = read_tensors(path)
    if any(
        "momentum" in values
        for optimizer in state.get("optimizers", ())
        for values in optimizer["state"].values()
    ):  # first: no options make it possible to resume
        raise ValueError(
            f"{path} was written by concerto_ros 0.1, which used another implementation of Muon;"
            " finish the "
            "run with that version, or remove this file or use another folder to start from "
            "scratch"
        )
    saved = state.get("run", {})
    for name, value in run.items():
        if saved.get(name) != value:
            values = f": {saved.get(name)} there, {value} here" if name != "parameters" else ""
            raise ValueError(
                f"{path} belongs to a run with different {name}{values}; use the same options to "
                "resume it, or another folder to start from scratch"
            )
    best = state.get("best") or {}
    held = (state.get("weights", {}), state.get("average") or {}, best.get("weights", {}))
    faults = next(filter(None, map(not_finite, held)), "")
    if faults:
        raise ValueError(
            f"{path} holds weights that are not finite (NaN or infinity): {faults}; expected the "
            "state of a run that has not diverged; remove this file or use another folder to "
            "start from scratch, with a lower learning rate"
        )
    return state

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The state file of a training run, from which a killed run resumes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from concerto_ros.files.finite_tensors import not_finite
from concerto_ros.files.torch_file import read_tensors, write_file


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
    faults = not_finite(state.get("weights", {})) or not_finite(best.get("weights", {}))
    if faults:
        raise ValueError(
            f"{path} holds weights that are not finite (NaN or infinity): {faults}; expected the "
            "state of a run that has not diverged; remove this file or use another folder to "
            "start from scratch, with a lower learning rate"
        )
    return state

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The file of a training run's state, from which a run that was killed resumes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from concerto_ros.files.torch_file import read_tensors, write_file


def save_training(path: Path, state: dict[str, Any]) -> None:
    """Write a run's state; a kill at any moment leaves the old file or the new one, whole."""
    write_file(path, state)


def load_training(path: Path, run: dict[str, Any]) -> dict[str, Any]:
    """A run's state.

    Raises ValueError where it belongs to another run than ``run`` describes, or is of a version
    whose optimiser was another.
    """
    state = read_tensors(path)
    found = state.get("run", {})
    for name, wanted in run.items():
        if found.get(name) != wanted:
            unlike = f": {found.get(name)} there, {wanted} here" if name != "parameters" else ""
            raise ValueError(
                f"{path} belongs to a run with other {name}{unlike}; use the same options to go "
                "on with it, or another folder to start afresh"
            )
    if any(
        "momentum" in kept
        for optimizer in state.get("optimizers", ())
        for kept in optimizer["state"].values()
    ):
        raise ValueError(
            f"{path} was written by concerto_ros 0.1, whose Muon was not PyTorch's; finish the "
            "run with that version, or use another folder to start from scratch"
        )
    return state

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Reference cases of the pre-training: run and compared array by array.

What a case checks is told by its arrays, so a folder may hold any number of cases of a kind, of
any size.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from concerto_ros.files.error_text import one_line
from concerto_ros.ptv3.kernels.tf32 import whole_float32
from concerto_ros.verification.cases import Case, Comparison, as_array, compare
from concerto_ros.verification.pretraining import data, parts, steps, whole_step
from concerto_ros.verification.pretraining.outcome import Outcome

#: What ``model`` is in the meta.json of such a folder.
MODEL = "concerto_pretraining"

#: What comparisons call it.
SHOWN = "pretraining"

#: Deviation of a gradient as a share of the greatest value of its array.
GRADIENT = 1e-4

#: What computes a case: the first row of which one of its arrays has the name.
RUNS: tuple[tuple[str, Callable[[Case], Outcome]], ...] = (
    ("global_feat", whole_step.encoder_step),
    ("student_parent_of_0", steps.step),
    ("assign_.*|ranks_assign_.*", parts.sinkhorn),
    (".*_cell_of_point", parts.masking),
    ("pairs", parts.matching),
    ("cotangent", parts.head),
    ("image_tokens", parts.joint2d),
    ("lr_peak", parts.schedules),
    ("same_at_start", parts.teacher),
    ("draw_second_point", data.views),
    ("file_0", data.correspondence),
    ("rotate_._half_turns", data.augmentation),
)


def verify(folder: Path) -> Iterator[Comparison]:
    """Run all cases of a folder and compare array by array.

    A case that is unknown, cannot be read or cannot be run yields one comparison that missed.

    Args:
        folder: Has ``meta.json`` and the files that it names.

    Yields:
        One comparison for each array.

    Raises:
        ValueError: There is no such ``meta.json``, or it is of something else.
    """
    path = Path(folder) / "meta.json"
    if not path.is_file():
        raise ValueError(f"{folder} holds no reference cases, expected meta.json in it")
    try:
        meta = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} cannot be read: {one_line(error)}") from error
    if not isinstance(meta, dict) or not isinstance(meta.get("cases"), dict):
        raise ValueError(f"{path} has no dict 'cases', expected the cases by name")
    if meta.get("model") != MODEL:
        raise ValueError(f"{path} has model {meta.get('model')!r}, expected {MODEL!r}")
    for name, entry in meta["cases"].items():
        case = Case(Path(folder), SHOWN, name, entry, torch.device("cpu"))
        try:
            yield from verify_case(case)
        except Exception as error:  # whatever a broken file or a wrong shape raises
            note = f"{type(error).__name__}: {one_line(error)}"
            yield Comparison(SHOWN, name, "-", math.inf, note)


def verify_case(case: Case) -> list[Comparison]:
    """Run one case and compare its arrays.

    Raises:
        ValueError: It is of no known kind, or has nothing to compare.
    """
    names = list(case.arrays)
    run = next(
        (run for pattern, run in RUNS if any(re.fullmatch(pattern, name) for name in names)), None
    )
    if run is None:
        raise ValueError(f"{case.name} has the arrays {', '.join(names[:8])}: of no known kind")
    with whole_float32():
        outcome = run(case)
    results = [
        _compared(case, outcome, name, expected)
        for name, expected in case.arrays.items()
        if not outcome.inputs(name)
    ]
    for name, value in outcome.values.items():
        if name not in case.arrays and is_gradient(name):
            found = as_array(value)
            results.append(_result(case, name, found, np.zeros_like(found), (1e-12, 0.0)))
    for name, held in outcome.holds.items():
        result = (0.0, "") if held else (math.inf, "does not hold")
        results.append(Comparison(case.model, case.name, name, *result))
    if not results:
        raise ValueError(f"{case.name} holds only inputs, expected an output to compare")
    return results


def is_gradient(name: str) -> bool:
    """Whether an array is a gradient."""
    return name.startswith(("grad_", "grad/")) and name != "grad_norm"


def _compared(case: Case, outcome: Outcome, name: str, expected: np.ndarray) -> Comparison:
    if name not in outcome.values:
        return Comparison(case.model, case.name, name, math.inf, "not computed")
    found = as_array(outcome.values[name])
    if name in outcome.where:
        chosen = outcome.where[name]
        found, expected = found[chosen], expected[chosen]
    if name in outcome.sets:
        found, expected = np.sort(found), np.sort(expected)
    return _result(case, name, found, expected, _tolerance(case, name, expected))


def _result(
    case: Case, name: str, found: np.ndarray, expected: np.ndarray, tolerance: tuple[float, float]
) -> Comparison:
    if found.shape != expected.shape:
        note = f"shape {found.shape}, expected {expected.shape}"
        return Comparison(case.model, case.name, name, math.inf, note)
    return Comparison(case.model, case.name, name, *compare(found, expected, *tolerance))


def _tolerance(case: Case, name: str, expected: np.ndarray) -> tuple[float, float]:
    """(atol, rtol) of an array."""
    if is_gradient(name):
        greatest = float(np.nanmax(np.abs(expected), initial=0.0))
        return max(GRADIENT * greatest, 1e-12), 0.0
    tolerance = case.meta["tolerance"]
    if isinstance(tolerance, str):
        return (1e-6, 1e-6) if name.startswith("centre") else (0.0, 0.0)
    if "atol" in tolerance:
        return tolerance["atol"], tolerance["rtol"]
    return tolerance["colours" if "color" in name else "coordinates"], 0.0

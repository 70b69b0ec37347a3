# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Reference cases: folders of inputs, weights and expected outputs, run and compared.

A folder holds ``meta.json`` and the files it names. Each case states the model's shape, the file
of its weights (or names and shapes from which :mod:`~concerto_ros.verification.generated_weights`
makes them) and one ``.npz`` of inputs, intermediate results and outputs. All of it but the inputs
is compared.
"""

from __future__ import annotations

import importlib
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from concerto_ros.files.error_text import one_line
from concerto_ros.objects.encoders.loading import MODELS
from concerto_ros.objects.encoders.shared.weights import State, find_state, read_content
from concerto_ros.ptv3.kernels.tf32 import whole_float32
from concerto_ros.verification.generated_weights import recipe_state

#: Families of cases: operations that encoders share, and each encoder. The module of this name in
#: this package has ``INPUTS``, the names of arrays that are inputs unless the case lists its own,
#: and ``run_case(case) -> {name: array}``, which raises ValueError for an unknown case; that of an
#: encoder also ``load_case(case)``, its model, and ``batch_of(case)``, the clouds that it takes.
FAMILIES = ("common_ops", *MODELS)

#: Outputs for which ``tolerance`` holds where a case also has ``tolerance_intermediate``.
FINAL = ("feature", "logits", "embedding", "log_probs")


@dataclass
class Case:
    """One reference case.

    Attributes:
        folder: Where its files are.
        model: Name of the model, one of :data:`FAMILIES`.
        name: Name of the case.
        meta: The entry of the case in ``meta.json``.
        device: Where it runs.
    """

    folder: Path
    model: str
    name: str
    meta: dict[str, Any] = field(repr=False)
    device: torch.device

    @property
    def config(self) -> dict[str, Any]:
        """The shape of the model, with the names of the case."""
        return self.meta.get("config", {})

    @cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        """Inputs and expected outputs."""
        with np.load(self.folder / self.meta["files"]["data"], allow_pickle=False) as file:
            return dict(file)

    def tensor(self, name: str) -> torch.Tensor:
        """Return one array on the device of the run."""
        return torch.from_numpy(self.arrays[name]).to(self.device)

    @property
    def weights(self) -> Path:
        """The file of weights; without one, the file that names their source in messages."""
        files = self.meta["files"]
        name = files.get("weights") or self.meta.get("weights_from") or self.meta["keys_file"]
        return self.folder / name

    @property
    def from_recipe(self) -> bool:
        """Whether the weights are generated from names instead of read from a file."""
        return "keys_file" in self.meta

    def shapes(self) -> dict[str, Any]:
        """Read names and shapes of generated weights."""
        return _json(self.folder / self.meta["keys_file"])

    def content(self) -> dict[str, Any]:
        """Read everything in the file of weights, wrapping included."""
        return read_content(self.weights)

    def state(self) -> State:
        """Return the state dict: generated, or unwrapped from its file."""
        if self.from_recipe:
            state = recipe_state(self.shapes(), self.meta["weight_seed"])
            # A probe scales weights down so far that the epsilon of a normalisation matters.
            for pattern, factor in self.meta.get("probe") or ():
                for name in filter(re.compile(pattern).search, state):
                    state[name] = state[name] * factor
            return state
        return find_state(self.content(), self.weights)

    def tolerance(self, name: str) -> tuple[float, float]:
        """Return (atol, rtol) of one array."""
        tolerance = self.meta["tolerance"]
        if name.partition("_first")[0] not in FINAL:
            tolerance = self.meta.get("tolerance_intermediate", tolerance)
        return (0.0, 0.0) if tolerance == "exact" else (tolerance["atol"], tolerance["rtol"])


@dataclass(frozen=True)
class Comparison:
    """The comparison of one array of one case.

    Attributes:
        model: Name of the model.
        case: Name of the case.
        array: Name of the array.
        deviation: The worst |a - b| / (atol + rtol |b|).
        note: What went wrong, empty if nothing did.
    """

    model: str
    case: str
    array: str
    deviation: float
    note: str = ""

    @property
    def passed(self) -> bool:
        """Whether the deviation is within the tolerance."""
        return self.deviation <= 1


def verify(folder: Path, device: str | torch.device = "cpu") -> Iterator[Comparison]:
    """Run all cases of a folder, or of each folder in it, and compare array by array.

    A case that is unknown, cannot be read or cannot be run yields one comparison that missed.

    Args:
        folder: One model's folder of cases, or their parent.
        device: Where to run.

    Yields:
        One comparison for each array.

    Raises:
        ValueError: If no ``meta.json`` is found, or one lacks its list of cases.
    """
    for path in _model_folders(Path(folder)):
        meta = _json(path / "meta.json")
        for part in ("model", "cases"):
            if part not in meta:
                raise ValueError(
                    f"{path / 'meta.json'} has no {part!r}, expected 'model' and 'cases'"
                )
        for name, entry in meta["cases"].items():
            case = Case(path, meta["model"], name, entry, torch.device(device))
            try:
                yield from verify_case(case)
            except Exception as error:  # whatever a broken file or a wrong shape raises
                note = f"{type(error).__name__}: {error}"
                yield Comparison(case.model, name, "-", math.inf, note)


def verify_case(case: Case) -> list[Comparison]:
    """Run one case and compare its arrays.

    Raises:
        ValueError: If the model is unknown or nothing can be compared.
    """
    if case.model not in FAMILIES:
        raise ValueError(f"model is {case.model!r}, expected one of {', '.join(FAMILIES)}")
    family = importlib.import_module(f"concerto_ros.verification.{case.model}")
    with torch.inference_mode(), whole_float32():
        outputs = family.run_case(case)
    comparisons = []
    for name, expected in case.arrays.items():
        if name in case.meta.get("inputs", family.INPUTS):
            continue
        found = outputs.get(name, outputs.get(name.partition("_first")[0]))
        if found is None:
            result = math.inf, "not computed"
        else:
            result = compare(as_array(found), expected, *case.tolerance(name))
        comparisons.append(Comparison(case.model, case.name, name, *result))
    if not comparisons:
        raise ValueError(
            f"{case.model} {case.name} holds only inputs, expected at least one output to compare"
        )
    return comparisons


def compare(
    found: np.ndarray, expected: np.ndarray, atol: float, rtol: float
) -> tuple[float, str]:
    """Compare an array with the expected one.

    Where the expected array is only the beginning of the computed one, that beginning is compared.
    Arrays that are not floating-point have to be equal.

    Args:
        found: The computed array.
        expected: The reference.
        atol: Absolute tolerance.
        rtol: Relative tolerance.

    Returns:
        The worst deviation as a multiple of the tolerance, and a note, empty without a problem.
    """
    if found.ndim == expected.ndim:
        found = found[tuple(slice(size) for size in expected.shape)]
    if found.shape != expected.shape:
        return math.inf, f"shape {found.shape}, expected {expected.shape}"
    if not np.issubdtype(expected.dtype, np.floating) or not atol + rtol:
        wrong = np.count_nonzero(found != expected)
        return (math.inf, f"{wrong} of {expected.size} differ") if wrong else (0.0, "")
    found, expected = found.astype(np.float64), expected.astype(np.float64)
    ratio = np.abs(found - expected) / (atol + rtol * np.abs(expected))
    bad = ~np.isfinite(ratio) & ~(np.isnan(found) & np.isnan(expected))
    if bad.any():
        return math.inf, f"{np.count_nonzero(bad)} of {expected.size} not finite"
    return float(ratio[~np.isnan(ratio)].max(initial=0.0)), ""


def as_array(value: torch.Tensor | np.ndarray | float) -> np.ndarray:
    """Convert a tensor, array or number to an array."""
    return value.cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)


def _model_folders(folder: Path) -> list[Path]:
    if (folder / "meta.json").is_file():
        return [folder]
    found = sorted(path.parent for path in folder.glob("*/meta.json"))
    if not found:
        raise ValueError(
            f"{folder} holds no reference cases, expected meta.json in it or in its subfolders"
        )
    return found


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} cannot be read: {one_line(error)}") from error

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is checked and timed, on which device; and what a part of the check found."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch

from benchmarks.encoder import SIZES
from benchmarks.scenes import model_input, scanned_scene
from benchmarks.soak_verdict import Check
from concerto_ros.ptv3 import load_encoder
from concerto_ros.ptv3.checkpoint import untrained_encoder
from concerto_ros.ptv3.config import PTv3Config
from concerto_ros.ptv3.encoder import Encoder
from concerto_ros.ptv3.kernels.backends import choose_backend
from concerto_ros.ptv3.precision import automatic_precision

#: Relative Frobenius norm of the difference from float32 on the CPU, at most; docs/performance.md.
TOLERANCE = {torch.float32: 1e-4, torch.float16: 2e-2, torch.bfloat16: 2e-2}

#: Sizes of the published encoders, as :data:`benchmarks.encoder.SIZES` has them.
OFFICIAL = {"base": "base 108M", "large": "large 208M"}

Row = dict[str, object]


@dataclass(frozen=True, eq=False)
class Scope:
    """Sizes and models.

    Attributes:
        device: the device that is checked.
        models: encoders on the CPU in float32, by name.
        voxels: of the clouds that are timed.
        checked: voxels of the cloud whose features are compared.
        edges: voxels of further ones: about a patch of rows, and a step of padding.
        precisions: in which they are compared.
        seconds: of the search for leaks.
        runs: most runs of one measurement.
    """

    device: torch.device
    models: Mapping[str, Callable[[], Encoder]]
    voxels: tuple[int, ...] = (20_000, 60_000, 120_000)
    checked: int = 6_000
    edges: tuple[int, ...] = (1, 127, 128, 129, 1023, 1025)
    precisions: tuple[torch.dtype, ...] = tuple(TOLERANCE)
    seconds: float = 60.0
    runs: int = 30

    @classmethod
    def whole(cls, device: torch.device) -> Scope:
        """Return the sizes that people run."""
        official = {name: SIZES[size] for name, size in OFFICIAL.items()}
        return cls(device, {"bundled": _bundled} | _untrained(official))

    @classmethod
    def tiny(cls, device: torch.device) -> Scope:
        """Return sizes with which the check itself is tested on a CPU."""
        small = replace(
            SIZES["base 108M"],
            enc_depths=(1, 0, 1),
            enc_channels=(8, 8, 16),
            enc_num_head=(1, 1, 2),
            stride=(2, 2),
            enc_patch_size=(64, 64, 64),
        )
        rotary = replace(small, enc_channels=(6, 6, 12), rotary=True)
        models = _untrained({"base": small, "large": rotary})
        precisions = (torch.float32,)
        return cls(device, models, (200,), 150, (1, 64), precisions, seconds=0.1, runs=1)

    @cached_property
    def on_gpu(self) -> bool:
        """Whether the device is a GPU."""
        return self.device.type == "cuda"

    @cached_property
    def fast(self) -> torch.dtype:
        """The precision ``auto`` of the device."""
        return automatic_precision(self.device)

    @cached_property
    def exact(self) -> dict[str, Encoder]:
        """The models in float32 on the CPU."""
        return {name: load().requires_grad_(False) for name, load in self.models.items()}

    def model(self, name: str, dtype: torch.dtype, backend: str = "auto") -> Encoder:
        """Return a copy of a model on the device.

        Raises:
            BackendError: the backend is not available there.
        """
        choose_backend(backend, self.device)
        encoder = copy.deepcopy(self.exact[name]).to(self.device, dtype)
        encoder.backend = backend
        return encoder

    def sent(self, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        """Return tensors on the device."""
        return tuple(tensor.to(self.device) for tensor in given)


@dataclass
class Findings:
    """What a part of the check found.

    Attributes:
        checks: conditions, each with what was measured.
        rows: numbers, for a table.
    """

    checks: list[Check] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)

    def check(self, name: str, measured: str, held: bool) -> None:
        """Add a condition."""
        self.checks.append(Check(name, measured, bool(held)))


def scene(voxels: int) -> tuple[torch.Tensor, ...]:
    """Features, voxels, coordinates and offset of one cloud on the CPU."""
    return model_input(scanned_scene(voxels))


def batch(*sizes: int) -> tuple[torch.Tensor, ...]:
    """The same of several clouds."""
    feat, grid_coord, coord, offset = zip(*map(scene, sizes), strict=True)
    return torch.cat(feat), torch.cat(grid_coord), torch.cat(coord), torch.cat(offset).cumsum(0)


def distance(ours: list[torch.Tensor], exact: list[torch.Tensor]) -> float:
    """The largest relative Frobenius norm of a difference; infinity for values not finite."""
    worst = 0.0
    for one, other in zip(ours, exact, strict=True):
        one = one.detach().float().cpu()
        off = float((one - other).norm() / other.norm().clamp_min(1e-12))
        worst = max(worst, off if one.isfinite().all() else float("inf"))
    return worst


def _bundled() -> Encoder:
    return load_encoder("demo")


def _untrained(configs: Mapping[str, PTv3Config]) -> dict[str, Callable[[], Encoder]]:
    return {
        name: lambda name=name, config=config: untrained_encoder(config, name=name)
        for name, config in configs.items()
    }

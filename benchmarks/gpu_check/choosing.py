# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which optional packages are faster here than the plain paths; written down for ``auto``."""

from __future__ import annotations

import importlib
import statistics
from collections.abc import Callable

import torch

from benchmarks.gpu_check.scope import TOLERANCE, Findings, Row, Scope, distance, scene
from benchmarks.measure import runs
from concerto_ros.ptv3.cuda_graphs.graphs import GraphedFeatures
from concerto_ros.ptv3.kernels import gpu_attention
from concerto_ros.ptv3.kernels.measured import CANDIDATES, Choices, save_choices

#: A package is chosen if it takes at most this share of the time of the plain path.
FASTER = 0.95

#: What computes something twice: on the plain path, and by a package.
Pair = tuple[Callable[[], torch.Tensor], Callable[[], torch.Tensor]]


@torch.inference_mode()
def choose(scope: Scope) -> Findings:
    """Time each candidate against the plain path on the second largest cloud, and choose."""
    found, chosen = Findings(), {}
    for choice, packages in CANDIDATES.items():
        for name in packages:
            row: Row = {"choice": choice, "package": name}
            try:
                module = importlib.import_module(name)
                row |= compare(scope, _PAIRS[choice](scope, module))
            except Exception as error:  # not installed, or built for something else
                row["left out"] = f"{type(error).__name__}: {str(error)[:120]}"
            found.rows.append(row)
            if row.get("faster"):
                chosen[choice] = name
    if scope.on_gpu:
        path = save_choices(scope.device, Choices(**chosen))
        found.rows.append({"choice": "written", "package": str(path)})
    return found


def compare(scope: Scope, pair: Pair) -> Row:
    """Milliseconds of both, how far they differ, and whether the package is to be used."""
    plain, other = pair
    off = distance([other()], [plain().float().cpu()])
    spent = [1e3 * statistics.median(runs(work, scope.device, scope.runs)) for work in pair]
    faster = off <= TOLERANCE[scope.fast] and spent[1] <= FASTER * spent[0]
    return {"plain ms": spent[0], "package ms": spent[1], "off": off, "faster": faster}


def _backend(scope: Scope, _) -> Pair:
    """Whole passes: only the plain path has graphs."""
    name = list(scope.models)[-1]
    given = scope.sent(scene(_middle(scope)))

    def forward(backend: str) -> Callable[[], torch.Tensor]:
        model = scope.model(name, scope.fast, backend)
        runner = GraphedFeatures(model)

        def work() -> torch.Tensor:
            feat, *where = given
            result = runner(feat, model.hierarchy(*where)).top.feat
            runner.capture()
            return result

        work(), work()
        return work

    plain = "triton" if scope.on_gpu else "torch"
    return forward(plain), forward("spconv")


def _attention(scope: Scope, module) -> Pair:
    """Heads of the finest level of the base size."""
    shape = (max(1, _middle(scope) // 1024), 3, 1024 if scope.on_gpu else 64, 16)
    parts = [torch.randn(shape, device=scope.device, dtype=scope.fast) for _ in range(3)]

    def other() -> torch.Tensor:
        rows = (part.transpose(1, 2) for part in parts)
        return module.flash_attn_func(*rows, softmax_scale=0.25).transpose(1, 2)

    return lambda: gpu_attention.attend(*parts, attn_mask=None, scale=0.25), other


def _reduction(scope: Scope, module) -> Pair:
    """Maxima of four rows each."""
    count = _middle(scope) // 4
    values = torch.randn(4 * count, 96, device=scope.device, dtype=scope.fast)
    sizes = torch.full((count,), 4, device=scope.device)

    def plain() -> torch.Tensor:
        return torch.segment_reduce(values, "max", lengths=sizes, axis=0, unsafe=True)

    def other() -> torch.Tensor:
        ends = torch.nn.functional.pad(sizes.cumsum(0), (1, 0))
        return module.segment_csr(values, ends, reduce="max")

    return plain, other


_PAIRS: dict[str, Callable[..., Pair]] = {
    "backend": _backend,
    "attention": _attention,
    "reduction": _reduction,
}


def _middle(scope: Scope) -> int:
    return sorted(scope.voxels)[len(scope.voxels) // 2]

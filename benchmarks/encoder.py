# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The encoder by size, precision, backend and number of voxels; random weights."""

from __future__ import annotations

import copy
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch

from benchmarks.measure import peak_memory, product_rate, runs, seconds
from benchmarks.scenes import dense_scene, model_input, scanned_scene, sparse_scene
from concerto_ros.ptv3.attention import PatchAttention
from concerto_ros.ptv3.blocks import GridPooling, Mlp
from concerto_ros.ptv3.checkpoint import untrained_encoder
from concerto_ros.ptv3.config import PTv3Config
from concerto_ros.ptv3.encoder import Encoder
from concerto_ros.ptv3.hierarchy import build_hierarchy
from concerto_ros.ptv3.kernels.backends import PAIRS, BackendError, choose_backend
from concerto_ros.ptv3.kernels.sparse_conv import SubmanifoldConv

_BASE = PTv3Config(
    in_channels=9, order=("z", "z-trans", "hilbert", "hilbert-trans"), enc_mode=True
)

#: Shapes of the official encoders: Concerto's and Sonata's sizes, and the rotary one of Utonia.
SIZES = {
    "small 39M": replace(
        _BASE,
        enc_depths=(2, 2, 2, 6, 2),
        enc_channels=(32, 64, 128, 256, 512),
        enc_num_head=(2, 4, 8, 16, 32),
    ),
    "base 108M": _BASE,
    "large 208M": replace(
        _BASE, enc_channels=(64, 128, 256, 512, 768), enc_num_head=(4, 8, 16, 32, 48)
    ),
}

SCENES = {"dense": dense_scene, "sparse": sparse_scene}

#: The scene whose number of voxels can be chosen.
SCANNED = "scanned"


@dataclass(frozen=True)
class Case:
    """One row to measure; ``voxels`` only for ``scanned``."""

    size: str
    precision: str
    backend: str
    scene: str
    voxels: int = 0

    def __str__(self) -> str:
        count = f" {self.voxels // 1000}k" if self.voxels else ""
        return f"{self.size} {self.precision} {self.backend} {self.scene}{count}"


def cases(device: torch.device, *, full: bool) -> list[Case]:
    """The rows of the quick table, or of the full one."""
    on_gpu = device.type == "cuda"
    precisions = ["float32", "bfloat16"] + ["float16"] * on_gpu
    backends = ["torch"] + (["triton", "spconv"] if on_gpu else ["native"])
    sizes = list(SIZES) if full else ["base 108M"]
    counts = [10_000, 30_000, 100_000] if full else [5_000, 10_000, 40_000]
    if on_gpu:
        counts = [10_000, 30_000, 100_000, 300_000, 1_000_000]
    rows = [
        Case(size, precision, backend, scene)
        for size in sizes
        for scene in SCENES
        for backend in backends
        for precision in precisions
    ]
    rows += [
        Case(size, precision, "auto", SCANNED, count)
        for size in sizes
        for precision in precisions[1 - full :]
        for count in counts
    ]
    return rows


def measure(rows: list[Case], device: torch.device) -> Iterator[dict[str, object]]:
    """Measure each case: yields it with its numbers, or with why it was not measured."""
    encoders: dict[str, Encoder] = {}
    for case in rows:
        if case.size not in encoders:  # one size in memory at a time
            encoders = {case.size: untrained_encoder(SIZES[case.size], name=case.size).to(device)}
        about = {"size": case.size, "precision": case.precision, "backend": case.backend}
        about |= {"scene": case.scene}
        try:
            yield about | _numbers(encoders[case.size], case, device)
        except (torch.cuda.OutOfMemoryError, BackendError) as error:
            yield about | {"failed": f"{type(error).__name__}: {str(error).splitlines()[0]}"}


@torch.inference_mode()
def _numbers(encoder: Encoder, case: Case, device: torch.device) -> dict[str, object]:
    scene = SCENES[case.scene]() if case.scene in SCENES else scanned_scene(case.voxels)
    feat, *where = (tensor.to(device) for tensor in model_input(scene))
    choose_backend(case.backend, device)  # raises an error if it is not available
    encoder.backend = case.backend
    dtype = getattr(torch, case.precision)
    exact = encoder(feat, *where).upcast(None)
    if dtype != torch.float32:
        encoder = copy.deepcopy(encoder).to(dtype)
    off = torch.linalg.norm(encoder(feat, *where).upcast(None) - exact) / torch.linalg.norm(exact)
    del exact
    rate = product_rate(dtype, device)
    hierarchy = encoder.hierarchy(*where)
    geometry = runs(lambda: encoder.hierarchy(*where), device)
    features = runs(lambda: encoder.forward_features(feat, hierarchy), device)
    whole = runs(lambda: encoder(feat, *where), device)
    work = floating_point_operations(encoder, *where) / 1e9
    peak = peak_memory(lambda: encoder(feat, *where), device)
    median = statistics.median(whole)
    return {
        "voxels": len(scene),
        "milliseconds": 1e3 * median,
        "least_milliseconds": 1e3 * min(whole),
        "geometry_milliseconds": 1e3 * statistics.median(geometry),
        "features_milliseconds": 1e3 * statistics.median(features),
        "runs": len(whole),
        "peak_megabytes": peak,
        "distance_from_float32": float(off),
        "gflop": work,
        "product_gflops": rate,
        "times_floor": min(whole) * rate / work,
    }


def floating_point_operations(encoder: Encoder, *where: torch.Tensor) -> float:
    """Multiplications and additions of all matrix products for this input."""
    total = 0.0
    hierarchy = build_hierarchy(*(tensor.cpu() for tensor in where), encoder.config, PAIRS)
    for level, stage in zip(hierarchy.levels, encoder.enc.values(), strict=True):
        for block in (module for name, module in stage.items() if name != "down"):
            width, hidden = block.cpe[1].in_features, block.mlp[0].fc1.out_features
            total += 2 * (len(level) + len(level.neighbours.pairs)) * width**2
            total += 2 * len(level) * (5 * width**2 + 2 * width * hidden)
            total += 4 * len(level) * min(block.patching[1], len(level)) * width
    return total


@torch.inference_mode()
def profile(case: Case, device: torch.device) -> dict[str, float]:
    """Milliseconds by part and stage of one pass over features; the parts do not overlap."""
    encoder = untrained_encoder(SIZES[case.size], name=case.size)
    encoder.to(device=device, dtype=getattr(torch, case.precision)).backend = case.backend
    scene = SCENES[case.scene]() if case.scene in SCENES else scanned_scene(case.voxels)
    feat, *where = (tensor.to(device) for tensor in model_input(scene))
    hierarchy = encoder.hierarchy(*where)
    encoder.forward_features(feat, hierarchy)
    passes = [_profile_once(encoder, feat, hierarchy, device) for _ in range(5)]
    return {part: 1e3 * min(one[part] for one in passes) for part in sorted(passes[0])}


def _profile_once(encoder, feat, hierarchy, device) -> dict[str, float]:
    parts = {
        SubmanifoldConv: "convolution",
        PatchAttention: "attention with its linear layers",
        Mlp: "mlp",
        GridPooling: "pooling",
    }
    spent: dict[str, float] = defaultdict(float)
    started: list[float] = []
    hooks = []

    def now() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()

    def finish(label):
        def hook(*_):
            spent[label] += now() - started.pop()

        return hook

    for name, module in encoder.named_modules():
        if type(module) in parts:
            stage = name.split(".")[1]
            hooks.append(module.register_forward_pre_hook(lambda *_: started.append(now())))
            hooks.append(module.register_forward_hook(finish(f"{stage} {parts[type(module)]}")))
    total = seconds(lambda: encoder.forward_features(feat, hierarchy), device)
    for hook in hooks:
        hook.remove()
    spent["norms, sums and the rest"] = total - sum(spent.values())
    spent["all"] = total
    return spent

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Clouds of changing size for a minute: does memory grow; and what a full device does."""

from __future__ import annotations

import math
import statistics
import time

import numpy as np
import torch

from benchmarks.gpu_check.scope import Findings, Scope
from benchmarks.measure import percentiles
from concerto_ros.pipeline import SemanticPipeline
from concerto_ros.ptv3.kernels.out_of_memory import allow_memory
from concerto_ros.ros.monitoring.memory_use import MemoryUse, release_unused_memory
from concerto_ros.settings.settings import Settings

#: MB that memory may grow by between the middle and the last third of the run.
MOST_GROWTH = {"allocated": 30.0, "reserved": 300.0, "resident": 60.0}


def leaks(scope: Scope) -> Findings:
    """Single clouds whose size swings by a half, with the bundled model."""
    found = Findings()
    pipeline = SemanticPipeline.from_settings(Settings(device=str(scope.device)))
    pipeline.warm_up()
    random, middle = np.random.default_rng(0), scope.voxels[len(scope.voxels) // 2]
    spent, memory = [], []
    begin = time.monotonic()
    while time.monotonic() - begin < scope.seconds or len(spent) < 4:
        swing = 1 + 0.5 * math.sin(0.5 * (time.monotonic() - begin))
        start = time.perf_counter()
        pipeline.segment(*_cloud(int(middle * swing), random))
        spent.append(1e3 * (time.perf_counter() - start))
        pipeline.capture_graphs()
        release_unused_memory()
        memory.append(_memory(scope))
    third = max(1, len(memory) // 3)
    for name, most in MOST_GROWTH.items():
        early, late = (
            statistics.median(each[name] for each in part)
            for part in (memory[third : 2 * third] or memory, memory[-third:])
        )
        settled = late - early <= most or scope.seconds < 10.0
        found.check(f"{name} memory is flat", f"{early:.0f} to {late:.0f} MB", settled)
    found.rows.append({"clouds": len(spent)} | percentiles(spent) | {"worst": max(spent)})
    return found


def out_of_memory(scope: Scope) -> Findings:
    """A process that may have 100 MB more: the cloud is computed in parts, or on the CPU."""
    found = Findings()
    size = 0.1 if not scope.on_gpu else 0.01
    pipeline = SemanticPipeline.from_settings(Settings(device=str(scope.device), voxel_size=size))
    points, *_ = _cloud(scope.voxels[-1], np.random.default_rng(0))
    if scope.on_gpu:
        torch.cuda.empty_cache()
        total = torch.cuda.get_device_properties(scope.device).total_memory
        allowed = torch.cuda.memory_reserved(scope.device) + 100 * 2**20
        allow_memory(scope.device, min(1.0, allowed / total))
    try:
        labels = pipeline.segment(points).label
    finally:
        if scope.on_gpu:
            allow_memory(scope.device, 1.0)
    said = pipeline.degraded_reason or "the memory was enough"
    found.check("little memory", said, len(labels) == len(points))
    return found


def _cloud(count: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points, colours and normals of a floor and a wall."""
    points = random.random((count, 3)) * (8, 6, 0.02)
    points[count // 2 :] = points[count // 2 :, [0, 2, 1]] * (1, 1, 0.4)
    colors = random.integers(0, 256, (count, 3)).astype(np.uint8)
    return points, colors, np.tile(np.float32([0, 0, 1]), (count, 1))


def _memory(scope: Scope) -> dict[str, float]:
    allocated = reserved = 0.0
    if scope.on_gpu:
        allocated = torch.cuda.memory_allocated(scope.device) / 2**20
        reserved = torch.cuda.memory_reserved(scope.device) / 2**20
    resident = MemoryUse.now(scope.device).resident or 0.0
    return {"allocated": allocated, "reserved": reserved, "resident": resident}

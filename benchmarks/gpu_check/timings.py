# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Times of encoder and pipeline by number of voxels, and those of the reference package."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import partial
from unittest.mock import patch

import numpy as np
import torch

from benchmarks import reference
from benchmarks.gpu_check.launches import counted
from benchmarks.gpu_check.scope import OFFICIAL, Findings, Row, Scope, scene
from benchmarks.measure import peak_memory, runs
from benchmarks.scenes import scanned_scene
from concerto_ros.heads.linear import LinearHead
from concerto_ros.labels.label_set import LabelSet
from concerto_ros.mapping.map_snapshot import MapSnapshot
from concerto_ros.pipeline import SemanticPipeline
from concerto_ros.ptv3.cuda_graphs import graphs
from concerto_ros.ptv3.cuda_graphs.graphs import GraphedFeatures
from concerto_ros.ptv3.encoder import Encoder
from concerto_ros.ptv3.kernels.backends import BackendError
from concerto_ros.sensors.frame import Frame
from concerto_ros.settings.settings import Settings

#: Classes of a head with random weights.
CLASSES = 20


@torch.inference_mode()
def encoder(scope: Scope) -> Findings:
    """The encoder by model, backend and number of voxels; graphs off and on."""
    found = Findings()
    for name in scope.models:
        for backend in ("auto", "torch", "spconv") if scope.on_gpu else ("auto",):
            about: Row = {"model": name, "type": str(scope.fast)[6:], "backend": backend}
            try:
                model = scope.model(name, scope.fast, backend)
            except BackendError as error:
                found.rows.append(about | {"left out": str(error)[:120]})
                continue
            for count in scope.voxels:
                row: Row = about | {"voxels": count}
                found.rows.append(row | _tried(partial(_encoder_row, scope, model, count)))
    return found


def _encoder_row(scope: Scope, model: Encoder, count: int) -> Row:
    given = scene(count)
    feat, *where = scope.sent(given)
    hierarchy, runner = model.hierarchy(*where), GraphedFeatures(model)
    forward = partial(model.forward_features, feat, hierarchy)
    row: Row = {
        "geometry ms": _median(scope, lambda: model.hierarchy(*where)),
        "features ms": _median(scope, forward),
        "peak MB": peak_memory(forward, scope.device),
        "operators": counted(lambda: model.hierarchy(*where)).launches + counted(forward).launches,
    }
    for _ in range(2):
        runner(feat, hierarchy)
        runner.capture()
    row["features by graph ms"] = _median(scope, lambda: runner(feat, hierarchy))
    row["graphs"] = runner.graphs

    def host_to_host() -> None:
        there, *at = scope.sent(given)
        runner(there, model.hierarchy(*at)).top.feat.cpu()

    row["host to host ms"] = _median(scope, host_to_host)
    runner.release()
    return row


@torch.inference_mode()
def package(scope: Scope) -> Findings:
    """The reference package on the same clouds, where it is installed."""
    found, name = Findings(), reference.package()
    if name is None:
        found.rows.append({"left out": f"none of {', '.join(reference.PACKAGES)} is installed"})
        return found
    precisions = ["float32"] + ["float16"] * scope.on_gpu
    for size, precision in ((s, p) for s in OFFICIAL.values() for p in precisions):
        for count in scope.voxels:
            row: Row = {"package": name, "model": size, "type": precision, "voxels": count}
            try:
                forward = reference.forward(name, size, precision, scene(count), scope.device)
                row["ms"] = _median(scope, forward)
                row["peak MB"] = peak_memory(forward, scope.device)
            except Exception as error:  # a package that we do not control may raise anything
                row["left out"] = f"{type(error).__name__}: {str(error)[:120]}"
            found.rows.append(row)
    return found


def node(scope: Scope) -> Findings:
    """The pipeline as the node's inference thread runs it, by model and number of voxels."""
    found = Findings()
    for name in scope.models:
        for by_graph in (False, True) if scope.on_gpu else (False,):
            limit = graphs.MAX_VOXELS if by_graph else 0
            with patch.object(graphs, "MAX_VOXELS", limit):
                for count in scope.voxels:
                    about: Row = {"model": name, "graphs": by_graph, "voxels": count}
                    found.rows.append(about | _tried(partial(_node_row, scope, name, count)))
    return found


def _node_row(scope: Scope, name: str, count: int) -> Row:
    pipeline = pipeline_of(scope.model(name, scope.fast), scope)
    snapshot = snapshot_of(pipeline, count)
    spent: list[dict[str, float]] = []

    def frame() -> None:
        spent.append(pipeline.infer(snapshot).stage_ms)
        pipeline.capture_graphs()

    for _ in range(2):
        frame()
    whole = _median(scope, frame)
    stages = {f"{stage} ms": statistics.median(ms[stage] for ms in spent) for stage in spent[-1]}
    return {"rows": len(snapshot), "frame ms": whole} | stages


def pipeline_of(encoder: Encoder, scope: Scope) -> SemanticPipeline:
    """Return a pipeline with an encoder and a head of random weights."""
    # The same map is predicted again and again, as a whole.
    settings = Settings.from_mapping(
        {"device": str(scope.device), "window_radius": 0.0, "inference.region": "map"}
    )
    head = LinearHead(sum(encoder.channels), CLASSES, trained=False).requires_grad_(False).eval()
    return SemanticPipeline(settings, encoder, head, LabelSet.from_generic(CLASSES))


def snapshot_of(pipeline: SemanticPipeline, voxels: int) -> MapSnapshot:
    """Return a map of as many voxels: half of a floor and two walls."""
    random = np.random.default_rng(0)
    points = (scanned_scene(voxels).numpy() + 0.5) * pipeline.settings.voxel_size
    colors = random.integers(0, 256, points.shape).astype(np.uint8)
    frame = Frame(points=points.astype(np.float32), stamp=1, frame_id="odom", colors=colors)
    pipeline.insert(frame, np.zeros(3))
    return pipeline.snapshot()


def _tried(measure: Callable[[], Row]) -> Row:
    """Numbers, or why there are none: the other rows still count."""
    try:
        return measure()
    except Exception as error:  # of the driver, of memory that ran out
        return {"left out": f"{type(error).__name__}: {str(error)[:120]}"}


def _median(scope: Scope, work: Callable[[], object]) -> float:
    return 1e3 * statistics.median(runs(work, scope.device, scope.runs))

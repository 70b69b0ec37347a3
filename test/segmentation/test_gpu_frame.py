# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What one frame asks of a GPU: launches, and waits for it, as docs/performance.md has them.

Counted without a GPU, on the paths that one would take. Kernels of ours count as launched: once
for the codes of a curve, twice and a sort for a table of neighbours, once for a residual with the
normalisation of its sum, once for a pooling with all that follows it, once for a rotary embedding,
four times, a sort and a sum for the voxels of a coarser level, once to pad a level and once its
patches of one size. A graph replays all launches of the features
at once.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from paths import REPOSITORY
from ptv3_inputs import CONFIG, batch_of
from torch.utils._python_dispatch import _disable_current_modes

from benchmarks.gpu_check.launches import Counts, counted, counting
from benchmarks.scenes import scanned_scene
from concerto_ros.pipeline import SemanticPipeline
from concerto_ros.ptv3 import attention, build_hierarchy, encoder
from concerto_ros.ptv3.attention import PatchAttention
from concerto_ros.ptv3.cpu import onednn
from concerto_ros.ptv3.cuda_graphs.graphs import _tensors
from concerto_ros.ptv3.cuda_graphs.padding import PaddedShape, pad_hierarchy
from concerto_ros.ptv3.kernels import fused, gpu_attention
from concerto_ros.ptv3.kernels.backends import TABLE
from concerto_ros.segmentation import inference
from concerto_ros.sensors.frame import Frame
from concerto_ros.settings.settings import Settings
from concerto_ros.stopwatch import Stopwatch

PAGE = REPOSITORY / "docs" / "performance.md"

VOXELS = 3000


def add_norm(feat, branch, norm, branch_norm):
    with _disable_current_modes():
        total, normed = fused.add_norm(feat, branch, norm, branch_norm)
        normed = normed.to(norm.weight.dtype)
    return total.clone(), normed  # is counted once


def pool(*given):
    with _disable_current_modes():
        result = fused.pool(*given)
    return result.clone()


def rotate(*given):
    with _disable_current_modes():
        result = fused.rotate(*given)
    return result.clone()


def coarsen(*given):
    with _disable_current_modes():
        coarser = fused.coarsen(*given)
    keys = coarser.keys
    for _ in range(5):  # keys, their sort, steps, their sum, what is united
        keys = keys.clone()
    return coarser._replace(keys=keys, coord=coarser.coord.clone())


def pad_level(*given):
    with _disable_current_modes():
        padded = fused.pad_level(*given)
    return padded._replace(coord=padded.coord.clone())


def pad_patches(*given):
    with _disable_current_modes():
        padded = fused.pad_patches(*given)
    return padded._replace(orders=padded.orders.clone())


#: Each of them counts as one launch, the voxels of a coarser level as six.
STEPS = fused.Fused(add_norm, pool, rotate, coarsen, pad_level, pad_patches)


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    """The bundled model in bfloat16, on the operators that a GPU with Triton is given."""

    def code(grid_coord, depth, curve):
        with _disable_current_modes():
            result = TABLE.curve_code(grid_coord, depth, curve)
        return result.clone()  # is counted

    def find(keys, rows, largest):
        with _disable_current_modes():
            table = TABLE.find_neighbours(keys, rows, largest)
        return replace(table, order=table.order.clone().clone(), rows=table.rows.clone())

    backend = replace(TABLE, curve_code=code, find_neighbours=find, fused=STEPS)
    monkeypatch.setattr(encoder, "choose_backend", lambda *_: backend)
    monkeypatch.setattr(onednn, "usable", lambda *_: False)
    monkeypatch.setattr(attention.cpu_attention, "pays", lambda *_: False)
    monkeypatch.setattr(attention, "scaled_dot_product_attention", gpu_attention.attend)
    settings = Settings(device="cpu", precision="bfloat16", window_radius=0.0)
    return SemanticPipeline.from_settings(settings)


def frame_of(pipeline: SemanticPipeline, stamp: int) -> Frame:
    points = (scanned_scene(VOXELS).numpy() + 0.5) * pipeline.settings.voxel_size
    colors = np.random.default_rng(0).integers(0, 256, points.shape).astype(np.uint8)
    return Frame(points.astype(np.float32), stamp=stamp, frame_id="odom", colors=colors)


def by_stage(pipeline: SemanticPipeline, monkeypatch) -> dict[str, Counts]:
    """Counts of the second frame, by stage; what is in none is under ``rest``."""
    found: dict[str, Counts] = {}

    class Counting(Stopwatch):
        @contextmanager
        def __call__(self, stage, device=None):
            before = counts.launches, len(counts.waits)
            with super().__call__(stage, device):
                yield
            of_stage = found.setdefault(stage, Counts())
            of_stage.launches += counts.launches - before[0]
            of_stage.waits += counts.waits[before[1] :]

    monkeypatch.setattr(inference, "Stopwatch", Counting)
    with counting() as counts:
        for stamp in (1, 2):
            pipeline.insert(frame_of(pipeline, stamp), np.zeros(3))
            snapshot = pipeline.snapshot()
            found.clear()
            before = counts.launches, len(counts.waits)
            pipeline.infer(snapshot)
    launched = counts.launches - before[0] - sum(part.launches for part in found.values())
    waited = len(counts.waits) - before[1] - sum(len(part.waits) for part in found.values())
    found["rest"] = Counts(launched, ["read"] * waited)
    return found


def documented() -> dict[str, tuple[int, int]]:
    """The table: launches and waits by stage."""
    _, _, rest = PAGE.read_text().partition("### Launches and waits of a frame")
    section = rest.partition("###")[0]
    rows = re.findall(r"^\| ([\w ]+) \| (\d+) \| (\d+) \|$", section, re.M)
    return {name: (int(launched), int(waited)) for name, launched, waited in rows}


def test_a_frame_launches_and_waits_no_more_than_the_documents_say(as_on_a_gpu, monkeypatch):
    found = by_stage(as_on_a_gpu, monkeypatch)
    counts = {stage: (part.launches, len(part.waits)) for stage, part in found.items()}
    known = documented()
    for stage in ("geometry", "features", "labels", "pca", "rest"):
        launched, waited = counts[stage]
        assert waited <= known[stage][1], (stage, found[stage].waits)
        # Other versions of PyTorch divide some operators differently.
        assert launched <= 1.05 * known[stage][0] + 2, (stage, counts)
    assert counts["geometry"][1] == 1 and counts["features"][1] == 0


@torch.inference_mode()
def test_a_replay_launches_padding_copies_and_one_graph(as_on_a_gpu):
    model = as_on_a_gpu.encoder
    grid_coord = scanned_scene(VOXELS)
    hierarchy = model.hierarchy(grid_coord, grid_coord * 0.02, torch.tensor([len(grid_coord)]))
    shape = PaddedShape.above(hierarchy)
    padded = []
    padding = counted(lambda: padded.append(pad_hierarchy(hierarchy, shape, model.config.stride)))
    types = {tensor.dtype for tensor in (hierarchy.levels[0].coord, *_tensors(padded[0]))}
    assert padding.waits == []
    copies_out = 1
    launched = padding.launches + len(types) + 1 + copies_out
    assert launched <= 1.05 * documented()["features by a graph"][0] + 2, launched


@torch.inference_mode()
def test_a_rotary_embedding_adds_one_launch_to_attention(monkeypatch):
    """Angles are computed in the kernel, so no block gathers or keeps any."""
    monkeypatch.setattr(onednn, "usable", lambda *_: False)
    monkeypatch.setattr(attention.cpu_attention, "pays", lambda *_: False)
    backend = replace(TABLE, fused=STEPS)
    level = build_hierarchy(*batch_of(200), CONFIG, backend).levels[0]
    (patching, *_) = level.patches
    feat, launched = torch.randn(200, 12), {}
    for base in (None, 10.0):
        attend = PatchAttention(12, 2, qkv_bias=True, qk_scale=None, rope_base=base)
        launched[base] = counted(partial(attend, feat, level, patching)).launches
    assert launched[10.0] == launched[None] + 1

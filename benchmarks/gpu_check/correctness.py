# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Every path of a device against float32 on the CPU."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import product

import torch
from torch.nn.functional import scaled_dot_product_attention

from benchmarks.gpu_check.scope import (
    TOLERANCE,
    Findings,
    Row,
    Scope,
    batch,
    distance,
    scene,
)
from benchmarks.measure import seconds
from concerto_ros.objects import load_object_encoder
from concerto_ros.ptv3.cuda_graphs.graphs import GraphedFeatures
from concerto_ros.ptv3.encoder import Encoder, Pyramid
from concerto_ros.ptv3.hierarchy import Level
from concerto_ros.ptv3.kernels import gpu_attention
from concerto_ros.ptv3.kernels.backends import BackendError

#: Heads and channels of a head: Concerto's finest and coarser levels, and Utonia's.
HEADS = ((3, 16), (12, 16), (2, 18))

#: A shape that never came may cost this many milliseconds; more is a plan that is built for it.
NEW_SHAPE_MS = 20.0


@torch.inference_mode()
def attention(scope: Scope) -> Findings:
    """The attention of patches against its formula, and what a new number of patches costs."""
    found, patches, size = Findings(), 1 + scope.checked // 100, 128
    for (heads, width), dtype, masked in product(HEADS, scope.precisions, (False, True)):
        shape = (patches, heads, size, width)
        parts = [torch.randn(shape, device=scope.device).to(dtype) for _ in range(3)]
        real = torch.arange(size, device=scope.device) < size - 5
        mask = real[None, None, None] if masked else None
        off = distance([_attend(*parts, mask)], [_formula(*parts, mask).cpu()])
        about: Row = {"heads": heads, "width": width, "type": _named(dtype), "masked": masked}
        found.rows.append(about | {"off": off})
    worst = max(row["off"] for row in found.rows)
    found.check("attention is its formula", f"at most {worst:.1e} off", worst <= 1e-2)
    spent = []
    for count in range(patches, patches + 6):
        part = torch.randn(count, 3, size, 16, device=scope.device, dtype=scope.fast)
        spent.append(1e3 * seconds(lambda p=part: _attend(p, p, p, None), scope.device))
    slowest = max(spent[1:])
    found.check(
        "attention has no plan for each shape",
        f"a new number of patches takes up to {slowest:.1f} ms",
        slowest < NEW_SHAPE_MS or not scope.on_gpu,
    )
    return found


def _attend(query, key, value, mask):
    return gpu_attention.attend(query, key, value, attn_mask=mask, scale=0.25)


def _formula(query, key, value, mask):
    parts = (part.float() for part in (query, key, value))
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        return scaled_dot_product_attention(*parts, attn_mask=mask, scale=0.25)


@torch.inference_mode()
def features(scope: Scope) -> Findings:
    """Features and geometry of every model, backend and precision, with graphs and without."""
    found = Findings()
    clouds = {"cloud": scene(scope.checked), "batch": batch(*scope.edges)}
    clouds |= {f"{count} voxels": scene(count) for count in scope.edges}
    wanted = {
        (name, case): model(*given)
        for (name, model), (case, given) in product(scope.exact.items(), clouds.items())
    }
    for name, backend in product(scope.models, ("torch", "triton", "spconv")):
        for dtype in scope.precisions:
            about: Row = {"model": name, "backend": backend, "type": _named(dtype)}
            try:
                encoder = scope.model(name, dtype, backend)
            except BackendError as error:
                found.rows.append(about | {"left out": str(error)[:120]})
                break
            for case, given in clouds.items():
                row = about | {"case": case}
                try:
                    row |= _compared(scope, encoder, given, wanted[name, case])
                except Exception as error:  # of a kernel, of the driver
                    found.check(_title(row), f"{type(error).__name__}: {str(error)[:200]}", False)
                    continue
                found.rows.append(row)
                # Over few voxels the roundings of half precision do not average out.
                _judge(found, row, TOLERANCE[dtype] * (1 if len(given[0]) > 500 else 2))
    compared = [row for row in found.rows if "off" in row]
    found.check("paths compared", f"{len(compared)} of {len(found.rows)}", bool(compared))
    return found


def _judge(found: Findings, row: Row, tolerance: float) -> None:
    """Add a check for what is wrong; silence where all is well."""
    title = _title(row)
    worst = max(row["off"], row["off graph"])
    if not worst <= tolerance:
        found.check(title, f"{worst:.1e} off, at most {tolerance:.0e} is right", False)
    if not row["same bits"]:
        found.check(title, "a replay gives other bits than the cloud without a graph", False)
    if not row["same geometry"]:
        found.check(title, "the geometry differs from that of the CPU", False)


def _title(row: Row) -> str:
    return " ".join(str(row[name]) for name in ("model", "backend", "type", "case"))


def _compared(
    scope: Scope, encoder: Encoder, given: tuple[torch.Tensor, ...], wanted: Pyramid
) -> Row:
    feat, *where = scope.sent(given)
    hierarchy = encoder.hierarchy(*where)
    runner = GraphedFeatures(encoder)
    results = []
    for _ in range(3):  # padded, and captured after the second; then replayed
        results.append(runner(feat, hierarchy).feats)
        runner.capture()
    first, *others = results
    levels = [level.geometry for level in wanted.levels]
    row = {
        "off": distance(encoder.forward_features(feat, hierarchy).feats, wanted.feats),
        "off graph": distance(others[-1], wanted.feats),
        "same bits": all(_equal(first, each) for each in others),
        "same geometry": all(map(_same, levels, hierarchy.levels)),
        "graphs": runner.graphs,
    }
    runner.release()
    return row


def _equal(ours: tuple[torch.Tensor, ...], theirs: tuple[torch.Tensor, ...]) -> bool:
    return all(torch.equal(*pair) for pair in zip(ours, theirs, strict=True))


def _same(ours: Level, theirs: Level) -> bool:
    same = [
        torch.equal(getattr(ours, name), getattr(theirs, name).cpu())
        for name in ("grid_coord", "batch", "offset")
    ]
    same += [
        torch.equal(ours.patches[k].order, theirs.patches[k].order.cpu()) for k in ours.patches
    ]
    return all(same) and torch.allclose(ours.coord, theirs.coord.cpu(), atol=1e-5)


@torch.inference_mode()
def graphs(scope: Scope) -> Findings:
    """More shapes than graphs are kept for, while another thread uses the device."""
    name = next(iter(scope.models))
    encoder, found = scope.model(name, scope.fast), Findings()
    runner, stop, trouble = GraphedFeatures(encoder), threading.Event(), []

    def disturb() -> None:
        try:
            while not stop.is_set():
                torch.randn(256, 256, device=scope.device).square().sum().item()
                stop.wait(0.001)
        except Exception as error:
            trouble.append(error)

    thread = threading.Thread(target=disturb, daemon=True)
    thread.start()
    worst, captured = 0.0, 0
    try:
        for count in list(_growing(scope.checked, 16 if scope.on_gpu else 2)) * 2:
            feat, *where = scope.sent(scene(count))
            hierarchy = encoder.hierarchy(*where)
            levels = encoder.forward_features(feat, hierarchy).feats
            exact = [each.float().cpu() for each in levels]
            for _ in range(2):
                worst = max(worst, distance(runner(feat, hierarchy).feats, exact))
                captured += runner.capture()
    finally:
        stop.set()
        thread.join(10)
    found.rows.append({"captured": captured, "kept": runner.graphs, "off": worst})
    runner.release()
    tolerance = TOLERANCE[scope.fast]
    found.check("graphs of many shapes", f"at most {worst:.1e} off", worst <= tolerance)
    found.check("another thread meanwhile", f"{trouble or 'no error'}", not trouble)
    found.check(
        "captures", f"{captured} captured", runner.works and bool(captured) == scope.on_gpu
    )
    return found


def _growing(count: int, steps: int) -> Iterator[int]:
    for step in range(steps):
        yield int(count * 1.2**step)


@torch.inference_mode()
def objects(scope: Scope) -> Findings:
    """The bundled object encoder."""
    found, generator = Findings(), torch.Generator().manual_seed(0)
    encoder = load_object_encoder("demo")
    points = torch.rand(1024, 3, generator=generator).numpy()
    batch = torch.stack([encoder.prepare(points * scale, None) for scale in (0.3, 1.0)])
    exact = encoder.classify(batch)
    off = distance([encoder.to(scope.device).classify(batch.to(scope.device))], [exact])
    found.rows.append({"model": "bundled object encoder", "off": off})
    found.check("object encoder", f"{off:.1e} off", off <= 1e-3)
    return found


def _named(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")

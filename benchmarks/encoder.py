# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Times the encoder on a dense and a sparse scene, with a profile by part.

The 108M "base" shape of Concerto with random weights, float32 on the CPU unless told otherwise.
The machine's matrix product rate is measured between the repetitions of the same run, so that
results of busy or different machines can be compared.

    .venv/bin/python benchmarks/encoder.py
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Callable

import torch

from concerto_ros.ptv3.attention import PatchAttention
from concerto_ros.ptv3.blocks import GridPooling, Mlp
from concerto_ros.ptv3.checkpoint import untrained_encoder
from concerto_ros.ptv3.config import PTv3Config
from concerto_ros.ptv3.encoder import Encoder
from concerto_ros.ptv3.hierarchy import Hierarchy
from concerto_ros.ptv3.sparse_conv import SubmanifoldConv

BASE = PTv3Config(in_channels=9, order=("z", "z-trans", "hilbert", "hilbert-trans"), enc_mode=True)

GRID = 0.02  # metres


def surfaces(size: tuple[float, float, float]) -> list[torch.Tensor]:
    """Every voxel of a floor and two walls of a box of ``size`` metres: three (N, 3) int64."""
    x, y, z = (torch.arange(round(side / GRID)) for side in size)
    zero = torch.zeros(1, dtype=torch.int64)
    return [
        torch.cartesian_prod(x, y, zero),
        torch.cartesian_prod(x, zero, z),
        torch.cartesian_prod(zero, y, z),
    ]


def dense_scene() -> torch.Tensor:
    """Floor and two walls, 2 x 2 x 1.2 m, every voxel taken: (N, 3) int64."""
    return torch.unique(torch.cat(surfaces((2.0, 2.0, 1.2))), dim=0)


def sparse_scene(points: int = 24_000) -> torch.Tensor:
    """Random points on the floor and two walls of a 6 x 5 x 2.5 m room: (N, 3) int64."""
    voxels = torch.cat(surfaces((6.0, 5.0, 2.5)))
    generator = torch.Generator().manual_seed(0)
    return torch.unique(voxels[torch.randint(len(voxels), (points,), generator=generator)], dim=0)


def model_input(grid_coord: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Features, voxels, coordinates and offset of one cloud, as the encoder takes them."""
    generator = torch.Generator().manual_seed(1)
    coord = (grid_coord + 0.5) * GRID
    coord -= coord.mean(0)
    color = torch.rand(coord.shape, generator=generator)
    normal = torch.nn.functional.normalize(torch.randn(coord.shape, generator=generator))
    return torch.cat([coord, color, normal], 1), grid_coord, coord, torch.tensor([len(coord)])


def floating_point_operations(encoder: Encoder, inputs: tuple[torch.Tensor, ...]) -> float:
    """Multiplications and additions of the matrix products that this input asks for."""
    total = 0
    hierarchy = encoder.hierarchy(*inputs[1:])
    for level, stage in zip(hierarchy.levels, encoder.enc.values(), strict=True):
        for block in (module for name, module in stage.items() if name != "down"):
            width, hidden = block.cpe[1].in_features, block.mlp[0].fc1.out_features
            pairs = len(level) + len(level.neighbours.sources)
            total += 2 * pairs * width**2
            total += 2 * len(level) * (5 * width**2 + 2 * width * hidden)
            patch = min(block.patching[1], len(level))
            total += 4 * len(level) * patch * width
    return total


def matmul_rate() -> float:
    """GFLOP/s of a product of two 2048 x 2048 float32 matrices, now."""
    left = torch.randn(2048, 2048)
    return 2 * 2048**3 / seconds(lambda: left @ left) / 1e9


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def profile(encoder: Encoder, feat: torch.Tensor, hierarchy: Hierarchy) -> dict[str, float]:
    """Seconds by part of one pass over features; the parts do not overlap."""
    parts = {
        SubmanifoldConv: "convolution",
        PatchAttention: "attention with its linear layers",
        Mlp: "mlp",
        GridPooling: "pooling",
    }
    spent: dict[str, float] = defaultdict(float)
    started: list[float] = []
    hooks = []

    def finish(label):
        def hook(*_):
            spent[label] += time.perf_counter() - started.pop()

        return hook

    for name, module in encoder.named_modules():
        if type(module) in parts:
            stage = name.split(".")[1]
            hooks.append(
                module.register_forward_pre_hook(lambda *_: started.append(time.perf_counter()))
            )
            hooks.append(module.register_forward_hook(finish(f"{stage} {parts[type(module)]}")))
    total = seconds(lambda: encoder.forward_features(feat, hierarchy))
    for hook in hooks:
        hook.remove()
    spent["norms, sums and the rest"] = total - sum(spent.values())
    return spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=5, help="repetitions to take a median of")
    arguments = parser.parse_args()

    torch.set_grad_enabled(False)
    encoder = untrained_encoder(BASE, name="base shape, random weights")
    count = sum(parameter.numel() for parameter in encoder.parameters())
    print(f"{encoder.name}: {count / 1e6:.0f}M parameters, {torch.get_num_threads()} threads")
    for name, scene in (("dense", dense_scene()), ("sparse", sparse_scene())):
        inputs = model_input(scene)
        encoder(*inputs)
        geometry, features, rates = [], [], []
        for _ in range(arguments.repeat):
            rates.append(matmul_rate())
            hierarchy = None
            start = time.perf_counter()
            hierarchy = encoder.hierarchy(*inputs[1:])
            middle = time.perf_counter()
            encoder.forward_features(inputs[0], hierarchy)
            geometry.append(middle - start)
            features.append(time.perf_counter() - middle)
        total = [sum(both) for both in zip(geometry, features, strict=True)]
        work = floating_point_operations(encoder, inputs) / 1e9
        rate = statistics.median(rates)
        median = statistics.median(total)
        print(
            f"{name}: {len(scene)} voxels, {work:.0f} GFLOP; median {median:.3f} s (geometry "
            f"{statistics.median(geometry):.3f}, features {statistics.median(features):.3f}), "
            f"least {min(total):.3f} s; products at {rate:.0f} GFLOP/s (best {max(rates):.0f}), "
            f"time / ideal {median * rate / work:.2f}"
        )
        for label, value in sorted(profile(encoder, inputs[0], hierarchy).items()):
            print(f"    {label:<45} {1e3 * value:8.1f} ms")


if __name__ == "__main__":
    main()

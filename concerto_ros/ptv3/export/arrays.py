# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The geometry of a batch as plain arrays: what an exported encoder takes beside the features.

docs/export.md describes them for other languages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from concerto_ros.ptv3.config import PTv3Config
from concerto_ros.ptv3.hierarchy import Hierarchy, Level
from concerto_ros.ptv3.kernels.native.convolution import NativeNeighbours
from concerto_ros.ptv3.kernels.neighbours import Neighbours
from concerto_ros.ptv3.kernels.pooling import Pooling, pooled_members

#: Kernel offsets of a convolution beside the centre.
RUNS = 26


@dataclass(frozen=True)
class ArraySpec:
    """An array that an exported encoder takes or returns.

    Attributes:
        name: that of the input or output.
        dtype: ``float32`` or ``int64``.
        shape: sizes; a text names one that differs from cloud to cloud, the same name the same
            size.
        meaning: a sentence for people.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]
    meaning: str


def rows_of(level: int) -> str:
    """Return the name of the number of voxels of a level."""
    return f"N{level}"


def level_input(level: int, array: str) -> str:
    """Return the name of an input that a level has once."""
    return f"level{level}_{array}"


def patch_input(level: int, patching: tuple[str, int], array: str) -> str:
    """Return the name of an input that a level has for each (curve, patch size)."""
    curve, size = patching
    return f"level{level}_{curve.replace('-', '_')}_{size}_{array}"


def input_specs(config: PTv3Config, *, clusters: bool) -> tuple[ArraySpec, ...]:
    """Return what an exported encoder takes: the features, then the geometry level by level.

    Args:
        config: the shape of the encoder.
        clusters: whether the way down the levels is needed, for a decoder or a head.
    """
    specs = [
        ArraySpec(
            "feat",
            "float32",
            (rows_of(0), config.in_channels),
            "Features of each voxel: xyz, colour 0..1, unit normal, as the model takes them.",
        )
    ]
    for level in range(len(config.enc_depths)):
        rows = rows_of(level)
        if level:
            finer = rows_of(level - 1)
            specs.append(
                ArraySpec(
                    level_input(level, "members"),
                    "int64",
                    (rows, config.stride[level - 1] ** 3),
                    "Rows of the finer level in each voxel; where fewer, the last is repeated.",
                )
            )
            if clusters:
                specs.append(
                    ArraySpec(
                        level_input(level, "cluster"),
                        "int64",
                        (finer,),
                        "Row of this level that holds each row of the finer one.",
                    )
                )
        if config.rotary:
            meaning = "Mean position of each voxel, metres times the scale of the convention."
            specs.append(ArraySpec(level_input(level, "coord"), "float32", (rows, 3), meaning))
        pairs = f"S{level}"
        for array, meaning in (
            ("sources", "The neighbour of each pair of touching voxels, by kernel offset."),
            ("targets", "The voxel of each pair; in a run of one offset each at most once."),
        ):
            specs.append(ArraySpec(level_input(level, array), "int64", (pairs,), meaning))
        meaning = "Where the run of each kernel offset ends in sources and targets."
        specs.append(ArraySpec(level_input(level, "ends"), "int64", (RUNS,), meaning))
        for patching in config.patches_of_level(level):
            patches = patch_input(level, patching, "patches")
            longest = patch_input(level, patching, "longest")
            along = f"along the curve {patching[0]}, at most {patching[1]} each"
            for array, shape, meaning in (
                ("rows", (patches, longest), f"Rows of the level in each patch {along}."),
                ("keys", (patches,), "How many of them are attended to; others only fill up."),
                ("slots", (rows,), "Where each row of the level is among all rows of patches."),
            ):
                name = patch_input(level, patching, array)
                specs.append(ArraySpec(name, "int64", shape, meaning))
    return tuple(specs)


def takes_clusters(specs: Sequence[ArraySpec]) -> bool:
    """Return whether the way down the levels is among what an exported encoder takes."""
    return level_input(1, "cluster") in {spec.name for spec in specs}


def hierarchy_arrays(
    hierarchy: Hierarchy, config: PTv3Config, *, clusters: bool
) -> dict[str, torch.Tensor]:
    """Return the geometry by name, as :func:`input_specs` lists it after the features.

    Args:
        hierarchy: of the encoder, on the CPU.
        config: the shape of the encoder.
        clusters: as for :func:`input_specs`.

    Raises:
        ValueError: it was built by other kernels than those of PyTorch on a CPU.
    """
    arrays: dict[str, torch.Tensor] = {}
    for index, level in enumerate(hierarchy.levels):
        if index:
            pooling = level.pooled_from
            assert isinstance(pooling, Pooling)
            members = pooled_members(pooling, config.stride[index - 1] ** 3)
            arrays[level_input(index, "members")] = members
            if clusters:
                arrays[level_input(index, "cluster")] = pooling.cluster
        if config.rotary:
            arrays[level_input(index, "coord")] = level.coord
        for array, pairs in zip(("sources", "targets", "ends"), _pairs(level), strict=True):
            arrays[level_input(index, array)] = pairs
        counts = torch.diff(level.offset, prepend=level.offset.new_zeros(1)).tolist()
        for patching, patches in level.patches.items():
            cut = cut_equal_patches(patches.order, counts, patching[1])
            for array, part in zip(("rows", "keys", "slots"), cut, strict=True):
                arrays[patch_input(index, patching, array)] = part
    return arrays


def cut_equal_patches(
    order: torch.Tensor, counts: Sequence[int], size: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Cut the clouds of a level into patches that are all of the same length.

    The last patch of a cloud borrows rows from the one before, as in the reference implementation,
    so that the queries of each patch are its keys. A cloud shorter than the patches fills its only
    one up with its last row.

    Args:
        order: (N,) int64, rows of the level along the curve, cloud after cloud.
        counts: rows of each cloud.
        size: rows of a patch, at most.

    Returns:
        (P, K) int64, rows of the level in each patch; (P,) int64, how many of them are keys; (N,)
            int64, the place of each row of the level among the P * K rows.
    """
    length = min(size, max(counts))
    step = torch.arange(length)
    positions, keys, places = [], [], []
    start = filled = 0
    for count in counts:
        whole, rest = divmod(count, length)
        position = start + torch.arange(whole * length).view(whole, length)
        place = torch.arange(count)
        if rest:
            first = max(count - length, 0)
            last = start + torch.clamp(first + step, max=count - 1)
            position = torch.cat([position, last[None]])
            place[whole * length :] += whole * length - first  # behind those it borrows
        positions.append(position)
        keys += [min(count, length)] * len(position)
        places.append(filled + place)
        filled += position.numel()
        start += count
    slots = torch.empty_like(order).index_copy_(0, order, torch.cat(places))
    return order[torch.cat(positions)], torch.tensor(keys), slots


def _pairs(level: Level) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return sources, targets and where the runs of the kernel offsets end."""
    neighbours = level.neighbours
    if isinstance(neighbours, NativeNeighbours):
        neighbours = neighbours.by_offset
    if not isinstance(neighbours, Neighbours):
        raise ValueError(
            f"the neighbours of the hierarchy are {type(neighbours).__name__}, expected those of"
            " the backend torch or native on a CPU, which an exported encoder takes"
        )
    runs = neighbours.sources.split(neighbours.lengths)
    sources = [run[:count] for run, count in zip(runs, neighbours.counts, strict=True)]
    # Those of the mirrored run, in the same order.
    targets = sources[RUNS // 2 :] + sources[: RUNS // 2]
    ends = torch.tensor(neighbours.counts).cumsum(0)
    return torch.cat(sources), torch.cat(targets), ends

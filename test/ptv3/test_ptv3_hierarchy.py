# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The integers of a batch: levels, patches, neighbours, pooling; and what input is refused."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ptv3_inputs import CONFIG, batch_of

from concerto_ros.ptv3 import build_hierarchy
from concerto_ros.ptv3.kernels.backends import PAIRS
from concerto_ros.ptv3.kernels.neighbours import KERNEL_ORDER
from concerto_ros.ptv3.patches import cut_patches


def keyed(level) -> list[tuple[int, ...]]:
    return [
        (batch, *voxel)
        for batch, voxel in zip(level.batch.tolist(), level.grid_coord.tolist(), strict=True)
    ]


def test_pooled_levels_equal_grouping_by_hand():
    grid_coord, coord, offset = batch_of(200, 1, 90)
    hierarchy = build_hierarchy(grid_coord.int(), coord, offset, CONFIG)
    assert len(hierarchy) == 3
    for fine, coarse, stride in zip(
        hierarchy.levels, hierarchy.levels[1:], CONFIG.stride, strict=False
    ):
        groups: dict[tuple[int, ...], list[int]] = {}
        for row, (batch, *voxel) in enumerate(keyed(fine)):
            groups.setdefault((batch, *(value // stride for value in voxel)), []).append(row)
        assert keyed(coarse) == sorted(groups)
        assert coarse.pooling.sizes.tolist() == [len(groups[key]) for key in sorted(groups)]
        feat = torch.randn(len(fine), 5, dtype=torch.float64)
        highest = coarse.pooling.reduce(feat, "max")
        for row, key in enumerate(sorted(groups)):
            members = groups[key]
            assert set(coarse.pooling.cluster[members].tolist()) == {row}
            torch.testing.assert_close(coarse.coord[row], fine.coord[members].mean(0))
            assert torch.equal(highest[row], feat[members].max(0).values)
        sizes = torch.bincount(coarse.batch, minlength=3)
        assert torch.equal(coarse.offset, sizes.cumsum(0))


def test_depth_is_recomputed_at_each_level_over_the_whole_batch():
    grid_coord = torch.tensor([[6, 0, 0], [0, 0, 0], [1, 2, 3]])
    hierarchy = build_hierarchy(grid_coord, grid_coord.float(), torch.tensor([1, 3]), CONFIG)
    # Largest coordinates 6, 3 and 1: bit lengths of 7, 4 and 2.
    assert [level.depth for level in hierarchy.levels] == [3, 3, 2]


def test_orders_run_along_the_curve_cloud_after_cloud():
    grid_coord, coord, offset = batch_of(50, 70)
    for level in build_hierarchy(grid_coord, coord, offset, CONFIG).levels:
        for patches in level.patches.values():
            assert sorted(patches.order.tolist()) == list(range(len(level)))
            assert level.batch[patches.order].diff().min() >= 0


@pytest.mark.parametrize("sizes", [(300,), (1,), (40, 1, 120), (2, 2)])
def test_neighbours_equal_a_search_over_all_pairs(sizes):
    grid_coord, coord, offset = batch_of(*sizes, side=8)
    for level in build_hierarchy(grid_coord, coord, offset, CONFIG, PAIRS).levels:
        step = level.grid_coord[None] - level.grid_coord[:, None]
        touching = (step.abs().amax(2) <= 1) & (level.batch[None] == level.batch[:, None])
        touching.fill_diagonal_(False)
        expected = {
            (target, source, int((step[target, source] + 1) @ torch.tensor([9, 3, 1])))
            for target, source in touching.nonzero().tolist()
        }
        table = level.neighbours
        kernel = torch.repeat_interleave(torch.tensor(KERNEL_ORDER), torch.tensor(table.lengths))
        found = set()
        for target in range(len(level)):
            for pair in table.pairs[table.starts[target] : table.starts[target + 1]].tolist():
                found.add((target, int(table.sources[pair]), int(kernel[pair])))
        assert found == expected
        assert sum(table.counts) == len(table.pairs) == len(expected)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 70), min_size=1, max_size=5), st.integers(1, 20))
def test_patches_attend_as_the_reference_pads(counts, size):
    order = torch.randperm(sum(counts), generator=torch.Generator().manual_seed(0))
    patches = cut_patches(order, counts, size)
    ranks = torch.arange(sum(counts))
    attended = []  # for every query slot: (its rank, the sorted ranks it attends to)
    for group in patches.groups:
        queries = ranks[group.queries].view(group.count, -1)
        keys = ranks[group.keys].view(group.count, -1)
        for patch in range(group.count):
            own = keys[patch]
            if group.mask is not None:
                own = own[group.mask[patch, 0, 0]]
            attended += [(int(query), sorted(own.tolist())) for query in queries[patch]]
    place = torch.empty_like(order)
    place[order] = ranks
    start = 0
    for count in counts:
        for rank in range(start, start + count):
            first = start + (rank - start) // size * size
            if count <= size:
                expected = range(start, start + count)
            elif first + size <= start + count:
                expected = range(first, first + size)
            else:
                expected = range(start + count - size, start + count)
            slot = patches.restore[order[rank]]
            assert attended[int(slot)] == (rank, list(expected))
        start += count


def build(grid_coord, coord=None, offset=None):
    grid_coord = torch.as_tensor(grid_coord)
    coord = grid_coord.float() if coord is None else coord
    offset = torch.tensor([len(grid_coord)]) if offset is None else torch.as_tensor(offset)
    return build_hierarchy(grid_coord, coord, offset, CONFIG)


THREE = torch.tensor([[0, 0, 0], [1, 0, 0], [2, 0, 0]])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((torch.zeros(0, 3, dtype=torch.int64),), "empty"),
        ((THREE[:, :2],), r"grid_coord has shape \(3, 2\)"),
        ((THREE.float(),), "float32, expected an integer"),
        ((THREE, torch.zeros(3, 2)), r"coord has shape \(3, 2\)"),
        ((THREE, torch.zeros(2, 3)), "coord has 2 rows, grid_coord 3"),
        ((THREE - 1,), "reaches -1 on x"),
        ((THREE, None, [2]), "offset ends at 2, expected 3, the rows of grid_coord"),
        ((THREE, None, [0, 3]), "cloud 0 of the batch is empty"),
        ((THREE, None, [2, 2, 3]), "cloud 1 of the batch is empty"),
        ((THREE, None, [2, 1, 3]), "decreases at cloud 1"),
        ((THREE, None, [[3]]), r"offset has shape \(1, 1\)"),
        ((THREE, None, torch.tensor([], dtype=torch.int64)), r"offset has shape \(0,\)"),
        ((THREE, None, [3.0]), "offset is torch.float32"),
        ((THREE[[0, 1, 1, 2]],), r"1 rows repeat a voxel .* \(1, 0, 0\) in cloud 0"),
    ],
)
def test_bad_input_is_refused_by_name(arguments, words):
    with pytest.raises(ValueError, match=words):
        build(*arguments)


def test_the_same_voxel_in_two_clouds_is_no_repetition():
    assert len(build(THREE[[0, 0]], offset=[1, 2]).levels[0]) == 2


def test_too_large_an_extent_names_what_was_given_and_what_fits():
    grid_coord = torch.tensor([[0, 0, 0], [0, 65535, 0]])
    with pytest.raises(ValueError) as error:
        build(grid_coord, grid_coord * 0.02)
    message = str(error.value)
    for words in ("65535 on y", "65534 fits", "16 bits", "65536 voxels", "0.02", "1311"):
        assert words in message
    fits = build(grid_coord.clamp(max=65534))
    assert fits.levels[0].depth == 16


def test_an_offset_corner_without_extent_is_told_in_voxels():
    with pytest.raises(ValueError, match="1 voxels were given"):
        build(torch.tensor([[0, 70000, 0]]))

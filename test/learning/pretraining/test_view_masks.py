# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which points of views are hidden, and how hidden points move."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from concerto_ros.learning.pretraining.masking import (
    cells_of_points,
    jitter_masked,
    mask_of_points,
)
from concerto_ros.learning.pretraining.matching import view_of_rows

views = st.tuples(st.lists(st.integers(0, 25), min_size=1, max_size=4), st.integers(0, 2**31))


def coordinates(sizes: list[int], seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    random = np.random.default_rng(seed)
    # On a lattice of eighths, of which quarters and halves of a metre are whole numbers.
    coord = random.integers(-16, 16, (sum(sizes), 3)) / 8
    return torch.from_numpy(coord).float(), torch.tensor(sizes).cumsum(0)


@settings(max_examples=60, deadline=None)
@given(views, st.sampled_from([0.25, 0.5, 1.0]))
def test_cells_are_numbered_by_view_and_place_from_the_minimum_of_each_view(given_views, size):
    coord, offset = coordinates(*given_views)
    view = view_of_rows(offset)
    keys = []
    for row in range(len(coord)):
        low = coord[view == view[row]].amin(dim=0)
        keys.append((int(view[row]), *((coord[row] - low) / size).floor().int().tolist()))
    number = {key: at for at, key in enumerate(sorted(set(keys)))}
    assert cells_of_points(coord, offset, size).tolist() == [number[key] for key in keys]


@settings(max_examples=60, deadline=None)
@given(views, st.floats(0, 1))
def test_whole_cells_are_hidden_as_many_as_the_ratio_of_the_batch_says(given_views, ratio):
    sizes, seed = given_views
    coord, offset = coordinates([*sizes, 3], seed)
    cells = cells_of_points(coord, offset, 0.5)
    count = int(cells.max()) + 1
    permutation = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    mask = mask_of_points(cells, permutation, ratio)
    hidden = {int(cell) for cell in cells[mask]}
    assert hidden == set(permutation[: int(ratio * count)].tolist())
    assert not hidden & {int(cell) for cell in cells[~mask]}


def test_hidden_points_move_by_the_noise_which_is_clipped_above_only():
    coord, mask = torch.zeros(4, 3), torch.tensor([True, False, True, False])
    noise = torch.tensor([[1.0, 5.0, -5.0], [0.5, -1.0, 2.0]])
    moved = jitter_masked(coord, mask, noise, 0.01)
    assert torch.equal(moved[~mask], coord[~mask])
    torch.testing.assert_close(
        moved[mask], torch.tensor([[0.01, 0.02, -0.05], [0.005, -0.01, 0.02]])
    )
    assert not coord.any()

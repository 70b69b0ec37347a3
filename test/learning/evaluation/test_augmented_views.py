# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Test-time augmentation by views, against a plain reference in float64."""

from __future__ import annotations

import argparse

import numpy as np
import pytest
import torch

from concerto_ros.cli import evaluate
from concerto_ros.learning.data.batch import make_batch
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.learning.evaluation.grid_voting import vote_over_grids
from concerto_ros.learning.evaluation.views import VIEWS, View, fragments
from concerto_ros.segmentation.convention import convention_for

SIZE = 0.1
WEIGHT = np.random.default_rng(5).normal(size=(9, 3))


def scan(count=200, seed=0):
    random = np.random.default_rng(seed)
    # Not symmetric, and no point near an edge of a voxel in any view: rounding has no say.
    points = random.integers(0, [9, 7, 5], (count, 3)) + random.uniform(0.3, 0.6, (count, 3))
    normals = random.normal(size=(count, 3))
    return Scan(
        "s",
        (points * SIZE * 0.7).astype(np.float32),
        np.zeros(count, np.uint8),
        random.integers(0, 256, (count, 3), dtype=np.uint8),
        (normals / np.linalg.norm(normals, axis=1, keepdims=True)).astype(np.float32),
    )


def model(batch):
    """Three classes by a fixed matrix of the input: what a view changes, changes them."""
    return batch.feat @ torch.from_numpy(WEIGHT.astype(np.float32)) * 4


def published(given: Scan, views: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """(points, normals) of the testers' views in float64, written down one by one."""
    turn = {
        angle: np.array(
            [
                [np.cos(angle * np.pi), -np.sin(angle * np.pi), 0],
                [np.sin(angle * np.pi), np.cos(angle * np.pi), 0],
                [0, 0, 1],
            ]
        )
        for angle in (0, 0.5, 1, 1.5)
    }
    flip = np.diag([-1.0, -1, 1])
    matrices = {
        4: [(turn[a], 1) for a in turn],
        10: [(m, s) for m in (np.eye(3), flip) for s in (0.9, 0.95, 1, 1.05, 1.1)],
        13: [(turn[a], s) for s in (1, 0.95, 1.05) for a in turn] + [(flip, 1)],
    }[views]
    points, normals = given.points.astype(float), given.normals.astype(float)
    return [(s * points @ m.T, normals @ m.T) for m, s in matrices]


def reference(given: Scan, views: int, *, every_point: bool) -> np.ndarray:
    """Mean probabilities of the indoor convention, voxel by voxel and point by point."""
    total, times = np.zeros((len(given), 3)), np.zeros((len(given), 1))
    for points, normals in published(given, views):
        voxel = np.floor(points / SIZE).astype(int)
        members: dict[tuple, list[int]] = {}
        for row, index in enumerate(map(tuple, voxel)):
            members.setdefault(index, []).append(row)
        runs = max(map(len, members.values())) if every_point else 1
        for run in range(runs):
            chosen = [[m[run % len(m)]] if every_point else m for m in members.values()]
            position = np.array([points[rows].mean(axis=0) for rows in chosen])
            color = np.array([given.colors[rows].mean(axis=0) for rows in chosen]) / 255
            normal = np.array([normals[rows].sum(axis=0) for rows in chosen])
            normal /= np.linalg.norm(normal, axis=1, keepdims=True)
            low, high = position.min(axis=0), position.max(axis=0)
            centre = [(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]]
            logits = np.hstack([position - centre, color, normal]) @ WEIGHT * 4
            share = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
            for rows, values in zip(chosen, share, strict=True):
                total[rows] += values
                times[rows] += 1
    return total / times


INDOOR = convention_for("indoor", rotary=False)


@pytest.mark.parametrize("every_point", [False, True])
@pytest.mark.parametrize("views", [4, 10, 13])
def test_a_vote_over_views_is_the_reference(views, every_point):
    given = scan()
    result = vote_over_grids(
        model, given, INDOOR, SIZE, views=VIEWS[views], every_point=every_point
    )
    assert len(VIEWS[views]) == views
    expected = reference(given, views, every_point=every_point)
    np.testing.assert_allclose(result, expected, atol=2e-5)
    # every part of it matters: without the augmentation it is another result
    plain = vote_over_grids(model, given, INDOOR, SIZE)
    assert np.abs(plain - expected).max() > 0.01


def test_one_view_is_the_plain_evaluation_bit_for_bit():
    given = scan()
    batch = make_batch([given], INDOOR, SIZE)
    plain = model(batch).softmax(dim=1).numpy()[batch.inverse[0]]
    np.testing.assert_array_equal(
        vote_over_grids(model, given, INDOOR, SIZE, views=VIEWS[1]), plain
    )


def test_a_view_turns_normals_and_leaves_the_given_scan_alone():
    given = scan(5)
    before = given.points.copy()
    seen = View(quarter_turns=1, scale=2.0)(given)
    x, y, z = given.points.T
    np.testing.assert_array_equal(seen.points, 2 * np.stack([-y, x, z], axis=1))
    x, y, z = given.normals.T
    np.testing.assert_array_equal(seen.normals, np.stack([-y, x, z], axis=1))
    np.testing.assert_array_equal(given.points, before)
    assert seen.colors is given.colors


def test_fragments_have_one_point_of_each_voxel_and_together_every_point():
    points = scan(500, seed=3).points
    voxels = np.unique(np.floor(points.astype(float) / SIZE), axis=0)
    parts = list(fragments(points, SIZE))
    assert len(parts) > 1
    for rows in parts:
        found = np.unique(np.floor(points[rows].astype(float) / SIZE), axis=0)
        assert len(rows) == len(found) == len(voxels)
    assert set(np.concatenate(parts)) == set(range(500))
    assert list(fragments(points[:0], SIZE)) == []


def test_the_command_offers_these_numbers_of_views():
    parser = argparse.ArgumentParser()
    evaluate.add_arguments(parser)
    offered = next(a.choices for a in parser._actions if a.dest == "augment")
    assert tuple(offered) == tuple(VIEWS)

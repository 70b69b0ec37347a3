# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the page on the bundled models says: columns by sort of scan, and points lost by shifts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from training_data import box_scan

from concerto_ros.labels.confusion import Confusion
from concerto_ros.labels.label_set import LabelSet
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.learning.demo_model.recipe import INDOOR, OUTDOOR, RECIPES
from concerto_ros.learning.demo_model.report.conditions import (
    COLUMNS,
    SHIFTS,
    label,
    levelled,
    measure,
    sort_of,
    tilted,
)
from concerto_ros.learning.demo_model.report.document import (
    class_table,
    replace_part,
    shift_table,
    write_report,
)


class Heights(torch.nn.Module):
    """A model that says floor (0) below 5 cm above the lowest voxel, and wall (1) above."""

    def forward(self, batch):
        above = (batch.coord[:, 2] > 0.05).long()
        return torch.nn.functional.one_hot(above, 12).float()


def floor_and_wall(name, height=1.0, edge=1.0):
    """A square floor, of a square metre, and a wall beside it."""
    grid = np.stack(np.meshgrid(*[np.arange(0, edge, 0.02)] * 2), -1).reshape(-1, 2)
    floor = np.column_stack([grid, np.zeros(len(grid))])
    wall = np.column_stack([np.zeros(len(grid)), grid[:, 0], 0.1 + height * grid[:, 1]])
    points = np.concatenate([floor, wall]).astype(np.float32)
    labels = np.repeat(np.array([0, 1], np.uint8), len(grid))
    return Scan(name, points, labels, np.full_like(points, 90, np.uint8), np.zeros_like(points))


def test_each_preset_has_a_recipe_and_columns():
    assert RECIPES.keys() == COLUMNS.keys() == {"indoor", "outdoor"}
    for preset, recipe in RECIPES.items():
        assert recipe.preset == preset
        parts = [set(recipe.training_seeds), set(recipe.validation_seeds), set(recipe.test_seeds)]
        assert sum(map(len, parts)) == len(set.union(*parts))
        assert set(COLUMNS[preset].shown[1]) <= set(recipe.test_seeds)
    assert INDOOR.convention.scale == 1 and OUTDOOR.convention.scale == 0.25


@pytest.mark.parametrize(
    ("name", "sort"),
    [("room7-office-view2", "view"), ("room7-flat-views", "views"), ("s-city-0-hdl64", "hdl")],
)
def test_the_sort_of_a_scan_is_in_its_name(name, sort):
    assert sort_of(replace(box_scan(), name=name)) == sort


def test_scans_are_counted_in_the_columns_of_their_sort():
    scans = [floor_and_wall(f"room1-office-{sort}") for sort in ("view0", "views", "lidar")]
    scores = measure(Heights(), INDOOR, scans)
    size = len(scans[0])
    assert list(scores)[0] == "colour + normals"
    assert scores["colour + normals"].matrix.sum() == 2 * size
    assert scores["LiDAR"].matrix.sum() == size and scores["mesh"].matrix.sum() == 0
    assert scores["colour + normals"].all_accuracy == 1
    assert 0.08 * 2 * size < scores["sparse"].matrix.sum() < 0.12 * 2 * size
    assert all(scores[name].matrix.sum() == 2 * size for name in SHIFTS)
    assert not SHIFTS.keys() & measure(Heights(), INDOOR, scans, shifts=False).keys()


def test_a_tilt_lifts_one_end_of_the_floor_and_is_the_same_each_time():
    scan = floor_and_wall("room1-office-view0")
    once, again = tilted(10)(scan), tilted(10)(scan)
    assert np.array_equal(once.points, again.points)
    assert np.allclose(np.linalg.norm(once.points, axis=1), np.linalg.norm(scan.points, axis=1))
    floor = once.points[scan.labels == 0]
    normal = np.linalg.svd(floor - floor.mean(0), full_matrices=False)[2][2]
    assert np.degrees(np.arccos(abs(normal[2]))) == pytest.approx(10, abs=0.01)


def test_a_tilted_scan_is_levelled_as_the_command_levels_it():
    scan = floor_and_wall("room1-office-view0", edge=4.0)
    tilt = levelled(tilted(10)(scan), INDOOR.voxel_size)
    floor = tilt.points[scan.labels == 0]
    normal = np.linalg.svd(floor - floor.mean(0), full_matrices=False)[2][2]
    assert np.degrees(np.arccos(abs(normal[2]))) < 1
    assert levelled(scan, INDOOR.voxel_size) is scan
    scores = measure(Heights(), INDOOR, [scan])
    level, tilt = (
        scores[f"tilt 10 degrees, {name}"] for name in ("levelled as by `segment`", "not levelled")
    )
    assert level.all_accuracy > 0.99 > tilt.all_accuracy


def test_a_label_is_that_of_the_voxel_of_the_size_asked_for():
    scan = floor_and_wall("room1-office-view0")
    assert (label(Heights(), scan, INDOOR) == scan.labels).all()
    # Voxels of 40 cm join the floor with the foot of the wall.
    assert (label(Heights(), scan, INDOOR, size=10.0) != scan.labels).any()


def scores_of(wrong, classes=2):
    score = Confusion(classes)
    true = np.repeat([0, 1], 50)
    predicted = true.copy()
    predicted[:wrong] = 1
    score.add(predicted, true)
    return score


def test_tables_say_percent_and_points_lost():
    classes = LabelSet.from_content(
        {
            "name": "two",
            "title": "Two",
            "classes": [
                {"id": i, "source_id": i, "name": n, "color": [0, 0, i]}
                for i, n in enumerate(("floor", "wall"))
            ],
        },
        "two.yaml",
    )
    table = class_table({"usual": scores_of(0), "harder": scores_of(25)}, classes)
    assert "| floor | 100.0 | 50.0 | 50.0 % |" in table
    assert "| **mIoU** | **100.0** | **58.3** | |" in table
    lost = shift_table({"usual": scores_of(0)} | dict.fromkeys(SHIFTS, scores_of(25)))
    assert "| scale 0.85 | 58.3 | 41.7 |" in lost


def test_only_the_measured_part_of_a_page_is_replaced(tmp_path):
    page = "a\n<!-- measured indoor: begin -->\nold\n<!-- measured indoor: end -->\nb\n"
    assert replace_part(page, "indoor", "new") == page.replace("\nold\n", "\n\nnew\n\n")
    (tmp_path / "page.md").write_text(page)
    with pytest.raises(ValueError, match="no part outdoor, expected the lines <!-- measured"):
        write_report(OUTDOOR, tmp_path, tmp_path / "page.md")
    assert [path.name for path in tmp_path.iterdir()] == ["page.md"]

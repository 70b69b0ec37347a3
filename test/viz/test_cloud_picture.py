# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The picture shows what is in front, where it is, in its own colour, from any cloud."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from concerto_ros.viz.cloud_picture import BACKGROUNDS, render_cloud, sensor_view

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
SMALL = {"width": 160, "height": 90}


def painted(points, color):
    return np.tile(np.array(color, np.uint8), (len(points), 1))


def wall(x, width=2.0, step=0.02):
    """A wall facing the x axis at distance x."""
    y, z = np.meshgrid(*2 * [np.arange(-width / 2, width / 2, step)])
    return np.stack([np.full(y.size, x), y.ravel(), z.ravel()], 1).astype(np.float32)


def where(image, color):
    """Rows and columns of the pixels of nearly that colour (discs have dark rims)."""
    away = np.abs(image.astype(int) - color).max(axis=2)
    return np.nonzero(away < 90)


def test_the_nearer_wall_hides_the_farther_one():
    near, far = wall(2.0), wall(3.0)
    points = np.concatenate([near, far])
    rgb = np.concatenate([painted(near, RED), painted(far, GREEN)])
    eye = ((0, 0, 0), (1, 0, 0))
    for order in (slice(None), slice(None, None, -1)):
        image = render_cloud(points[order], rgb[order], view_from=eye, **SMALL)
        assert tuple(image[45, 80]) == RED
        assert len(where(image, GREEN)[0]) == 0
    image = render_cloud(points, rgb, view_from=((5, 0, 0), (4, 0, 0)), **SMALL)
    assert tuple(image[45, 80]) == GREEN


def test_left_is_left_and_up_is_up():
    points = np.array([[3, 1, 0], [3, -1, 0], [3, 0, 1]], np.float32)
    rgb = np.array([RED, GREEN, BLUE], np.uint8)
    options = {"view_from": ((0, 0, 0), (1, 0, 0)), "point_size": 0.3, **SMALL}
    image = render_cloud(points, rgb, **options)
    (red_row, red_column), (green_row, green_column) = (
        (np.mean(axis) for axis in where(image, color)) for color in (RED, GREEN)
    )
    # looking along x with z up, positive y is to the left (REP-103)
    assert red_column < 75 and green_column > 85 and red_row == pytest.approx(green_row, abs=1)
    assert where(image, BLUE)[0].mean() < 35
    upside_down = render_cloud(points, rgb, up=(0, 0, -1), **options)
    assert where(upside_down, RED)[1].mean() > 85


def test_points_are_smaller_far_away():
    points = np.array([[2, 0.5, 0], [8, -1, 0]], np.float32)
    rgb = np.array([RED, GREEN], np.uint8)
    image = render_cloud(points, rgb, view_from=((0, 0, 0), (1, 0, 0)), point_size=0.2, **SMALL)
    assert len(where(image, RED)[0]) > 4 * len(where(image, GREEN)[0]) > 0


def test_what_is_behind_the_eye_is_not_seen():
    image = render_cloud(wall(-2), painted(wall(-2), RED), view_from=((0, 0, 0), (1, 0, 0)))
    assert (image == 255).all()


def test_the_automatic_view_shows_the_whole_cloud_from_above():
    generator = np.random.default_rng(0)
    floor = generator.uniform([-3, -2, 0], [3, 2, 0], (20_000, 3))
    top = generator.uniform([-0.5, -0.5, 1], [0.5, 0.5, 1], (4_000, 3))
    points = np.concatenate([floor, top]) + [1000, -2000, 5]
    rgb = np.concatenate([painted(floor, RED), painted(top, BLUE)])
    image = render_cloud(points, rgb, width=320, height=180)
    rows, columns = where(image, RED)
    at_the_edge = (rows == 0) | (rows == 179) | (columns == 0) | (columns == 319)
    assert at_the_edge.mean() < 0.01
    assert len(rows) > 0.1 * 320 * 180
    assert where(image, BLUE)[0].mean() < rows.mean()


def test_of_an_open_box_the_automatic_view_looks_into_it():
    """A floor and two walls that meet: seen from outside they would hide the floor."""
    y, z = np.meshgrid(np.arange(0, 4, 0.04), np.arange(0, 3, 0.04))
    side = np.stack([np.zeros(y.size), y.ravel(), z.ravel()], 1)
    back = side[:, [1, 0, 2]]
    x, y = np.meshgrid(*2 * [np.arange(0, 4, 0.04)])
    floor = np.stack([x.ravel(), y.ravel(), np.zeros(x.size)], 1)
    points = np.concatenate([side, back, floor])
    rgb = np.concatenate([painted(side, RED), painted(back, GREEN), painted(floor, BLUE)])
    image = render_cloud(points, rgb, width=320, height=180)
    shares = [len(where(image, color)[0]) for color in (RED, GREEN, BLUE)]
    assert min(shares) > 0.12 * sum(shares)


def test_a_single_scan_is_seen_from_the_side_of_its_sensor_and_from_above():
    points = wall(3.0)
    eye, target = sensor_view(points, (0, 0, 0))
    assert eye[0] < 2 and abs(eye[1]) < 0.1 and eye[2] > 0.1
    assert target == pytest.approx([3, 0, 0], abs=0.1)
    image = render_cloud(points, painted(points, RED), view_from=(eye, target), **SMALL)
    assert len(where(image, RED)[0]) > 0.3 * 160 * 90
    eye, _ = sensor_view(points[:, [1, 2, 0]], (0, 0, 0), up=(0, -1, 0))  # optical axes
    assert eye[2] < 2 and eye[1] < -0.1
    for nothing in (np.zeros((0, 3)), np.zeros((5, 3)), np.full((2, 3), np.nan)):
        eye, target = sensor_view(nothing, (0, 0, 0))
        assert np.isfinite(eye).all() and np.linalg.norm(eye - target) > 0.05


def test_shading_darkens_but_keeps_the_colour_of_a_class():
    points = np.concatenate([wall(3.0, 3.0), wall(2.5, 0.6)])
    rgb = painted(points, (200, 100, 40))
    image = render_cloud(points, rgb, view_from=((0, 0, 0), (1, 0, 0)), **SMALL)
    assert tuple(image[45, 80]) == (200, 100, 40)
    seen = image[(image != 255).any(axis=2)].astype(float)
    assert seen[:, 0].min() < 170  # the outline of the nearer wall is visible
    inner = seen[seen[:, 0] <= 200]  # the rest is mixed with the background
    assert np.percentile(np.abs(inner[:, 1] / inner[:, 0] - 0.5), 95) < 0.02


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_title_and_legend_are_written_beside_the_cloud(background):
    points = wall(2.0)
    options = {"view_from": ((0, 0, 0), (1, 0, 0)), "background": background}
    options |= {"width": 400, "height": 300}
    plain = render_cloud(points, painted(points, RED), **options)
    names = [("chair", GREEN), ("table", BLUE), ("a class of many words", (9, 9, 9))] * 4
    full = render_cloud(
        points, painted(points, RED), title="labels (untrained)", legend=names, **options
    )
    assert tuple(plain[0, 0]) == BACKGROUNDS[background][0]
    assert (full[:40] != BACKGROUNDS[background][0]).any()
    assert where(full, GREEN)[0].min() > 120 and len(where(full, BLUE)[0]) > 4 * 200
    assert where(full, RED)[0].max() < where(full, GREEN)[0].min()


def test_the_same_cloud_gives_the_same_picture():
    points = np.random.default_rng(1).normal(size=(3000, 3)).astype(np.float32)
    rgb = np.random.default_rng(2).integers(0, 256, (3000, 3), np.uint8)
    first, second = (render_cloud(points, rgb, **SMALL) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("title", [None, "nothing yet"])
def test_no_points_make_an_empty_picture(title):
    image = render_cloud(np.zeros((0, 3)), np.zeros((0, 3), np.uint8), title=title, **SMALL)
    assert image.shape == (90, 160, 3)
    assert (image[50:] == 255).all()


def test_points_that_are_not_finite_are_left_out():
    points = np.concatenate([wall(2.0), [[np.nan, 0, 0], [np.inf, 0, 0]]])
    view = ((0, 0, 0), (1, 0, 0))
    image = render_cloud(points, painted(points, RED), view_from=view, **SMALL)
    alone = render_cloud(points[:-2], painted(points[:-2], RED), view_from=view, **SMALL)
    np.testing.assert_array_equal(image, alone)


@settings(max_examples=25, deadline=None)
@given(
    points=arrays.arrays(
        np.float32,
        st.tuples(st.integers(1, 40), st.just(3)),
        elements=st.floats(-1e6, 1e6, width=32) | st.just(0.0),
    )
)
def test_any_cloud_makes_a_picture(points):
    image = render_cloud(points, painted(points, RED), width=64, height=48)
    assert image.shape == (48, 64, 3)
    assert (image != 255).any()


@pytest.mark.parametrize(
    "wrong, fault",
    [
        ({"points": np.zeros((4, 2))}, r"points has the shape \(4, 2\)"),
        ({"rgb": np.zeros((3, 3), np.uint8)}, r"rgb is uint8 of the shape \(3, 3\)"),
        ({"rgb": np.zeros((4, 3))}, "rgb is float64"),
        ({"width": 0}, "the size is 0 x 720"),
        ({"background": "pink"}, "background is 'pink'"),
        ({"up": (0, 0, 0)}, "up is"),
        ({"view_from": ((1, 1, 1), (1, 1, 1))}, "view_from"),
        ({"view_from": ((1, np.nan, 1), (0, 0, 0))}, "view_from"),
    ],
)
def test_what_makes_no_picture_is_refused(wrong, fault):
    arguments = {"points": np.eye(4, 3), "rgb": np.zeros((4, 3), np.uint8), **wrong}
    with pytest.raises(ValueError, match=fault):
        render_cloud(arguments.pop("points"), arguments.pop("rgb"), **arguments)

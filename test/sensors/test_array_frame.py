# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Clouds as the arrays that Open3D, laspy, PyTorch and GIS programs hold."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from concerto_ros.sensors.array_frame import single_frame
from concerto_ros.sensors.frame import Frame

POINTS = np.random.default_rng(0).uniform(-2, 2, (60, 3))
RGB = np.random.default_rng(1).integers(0, 256, (60, 3), dtype=np.uint8)
UTM = np.array([500_000.0, 4_600_000.0, 300.0])


@pytest.mark.parametrize(
    "points",
    [
        POINTS.tolist(),
        torch.tensor(POINTS, requires_grad=True),
        POINTS.astype(object),
        np.asfortranarray(POINTS),
        np.repeat(POINTS, 2, axis=0)[::2],
    ],
)
def test_whatever_holds_coordinates_is_taken(points):
    np.testing.assert_allclose(single_frame(points, None, None, None).frame.points, POINTS, 1e-6)


def test_whole_numbers_are_coordinates():
    points = np.arange(30, dtype=np.int32).reshape(-1, 3)
    np.testing.assert_array_equal(single_frame(points, None, None, None).frame.points, points)


def test_open3d_clouds_are_taken():
    o3d = pytest.importorskip("open3d")
    vectors = o3d.utility.Vector3dVector(POINTS)
    fractions = o3d.utility.Vector3dVector(RGB / 255.0)
    frame = single_frame(vectors, fractions, None, None).frame
    np.testing.assert_array_equal(frame.colors, RGB)
    tensor = o3d.core.Tensor(POINTS.astype(np.float32))
    np.testing.assert_array_equal(
        single_frame(tensor, None, None, None).frame.points, POINTS.astype(np.float32)
    )


@pytest.mark.parametrize(
    "colors",
    [
        RGB,
        RGB / 255,
        RGB.astype(np.float32),
        RGB.astype(np.uint16) * np.uint16(257),
        np.c_[RGB, np.full(60, 255, np.uint8)],
        np.c_[RGB / 255, np.ones(60)],
        torch.from_numpy(RGB),
        RGB.tolist(),
    ],
)
def test_colours_in_every_unit(colors):
    np.testing.assert_array_equal(single_frame(POINTS, colors, None, None).frame.colors, RGB)


def test_normals_of_any_length_become_unit_vectors_or_unknown():
    normals = np.tile([0.0, 0.0, 7.0], (60, 1))
    normals[0], normals[1] = 0, [np.nan, 0, 1]
    unit = single_frame(POINTS, None, normals, None).frame.normals
    np.testing.assert_array_equal(unit[:2], np.zeros((2, 3)))
    np.testing.assert_array_equal(unit[2:], np.tile([0, 0, 1], (58, 1)))


def test_rows_that_are_not_finite_and_strays_are_left_out_and_counted():
    points = np.vstack([POINTS, [[np.nan, 0, 0], [0, np.inf, 0], [0, 0, 1e30], [-60_000, 0, 0]]])
    single = single_frame(points, None, None, None)
    np.testing.assert_array_equal(single.rows, np.arange(60))
    assert single.strays == 1


def test_points_far_from_the_origin_keep_their_millimetres():
    single = single_frame(POINTS + UTM, None, None, UTM + [1, 2, 3])
    back = single.frame.points.astype(np.float64) + single.offset
    np.testing.assert_allclose(back, POINTS + UTM, atol=1e-6)
    np.testing.assert_allclose(single.frame.origin + single.offset, UTM + [1, 2, 3])


@pytest.mark.parametrize(
    ("points", "why"),
    [
        (POINTS.T, r"got shape \(3, 60\), expected \(N, 3\).*transposed: pass points.T"),
        (np.c_[POINTS, RGB], r"got shape \(60, 6\).*pass points\[:, :3\], and colors"),
        (np.c_[POINTS, POINTS[:, :1]], r"pass points\[:, :3\]"),
        (POINTS.reshape(6, 10, 3), r"pass points.reshape\(-1, 3\)"),
        (POINTS[:, :2], r"got shape \(60, 2\)"),
        (POINTS[:0], r"got shape \(0, 3\)"),
        ([], r"got shape \(0,\)"),
        (POINTS[0], r"got shape \(3,\)"),
        (None, "points: got "),
        ("cloud.ply", "points: got <U9"),
        ([[1, 2, 3], [4, 5]], "points: got a list"),
        (POINTS + 1j, "points: got complex128"),
        (np.full((5, 3), np.nan), "none of them finite"),
    ],
)
def test_points_of_another_shape_or_type_are_refused_with_a_reason(points, why):
    with pytest.raises(ValueError, match=why):
        single_frame(points, None, None, None)


@pytest.mark.parametrize(
    ("colors", "why"),
    [
        (RGB.T, r"colors: got shape \(3, 60\), expected \(60, 3\).*transposed: pass colors.T"),
        (RGB[:10], r"got shape \(10, 3\), expected \(60, 3\), a row for each point"),
        (RGB[:, 0], r"got shape \(60,\)"),
        (RGB / 127.5 - 1, "got values from -.* to 1, expected fractions"),
        (RGB.astype("U3"), "expected an array of numbers"),
    ],
)
def test_colours_of_another_shape_or_unit_are_refused_with_a_reason(colors, why):
    with pytest.raises(ValueError, match=why):
        single_frame(POINTS, colors, None, None)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"points": POINTS.astype(np.float32).T}, r"points: got float32 of shape \(3, 60\)"),
        ({"colors": (RGB / 255).astype(np.float32)}, "colors: got float32 .*, expected uint8"),
        ({"normals": POINTS[:9]}, r"normals: got float64 of shape \(9, 3\)"),
        ({"intensity": POINTS}, r"intensity: got float64 of shape \(60, 3\)"),
    ],
)
def test_a_frame_made_by_hand_is_checked(change, why):
    arrays = {"points": POINTS.astype(np.float32)} | change
    with pytest.raises(ValueError, match=why):
        Frame(stamp=0, frame_id="map", **arrays)


def test_normals_and_origin_of_another_shape_are_refused_with_a_reason():
    with pytest.raises(ValueError, match=r"normals: got shape \(10, 3\), expected \(60, 3\)"):
        single_frame(POINTS, None, POINTS[:10], None)
    with pytest.raises(ValueError, match="origin: got .*, expected three finite coordinates"):
        single_frame(POINTS, None, None, [0, np.nan, 0])

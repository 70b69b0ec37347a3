# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Normals against surfaces whose normals are known."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from paths import DATA

from concerto_ros.sensors import normals
from concerto_ros.sensors.camera_model import CameraModel
from concerto_ros.sensors.normals import neighbourhood_normals, organised_normals, unit_vectors

CAMERA = CameraModel(fx=300, fy=300, cx=159.5, cy=119.5, width=320, height=240)
RAYS = CAMERA.rays().astype(np.float64)


def degrees_between(a, b) -> np.ndarray:
    cosine = np.einsum("...i,...i->...", np.asarray(a, np.float64), np.asarray(b, np.float64))
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def plane(normal, distance) -> tuple[np.ndarray, np.ndarray]:
    """Depth (H, W) of a plane and its unit normal toward the camera."""
    normal = np.asarray(normal, float) / np.linalg.norm(normal)
    return distance / (RAYS @ normal), -np.sign(distance) * normal


def points_of(depth) -> np.ndarray:
    return (RAYS * depth[..., None]).astype(np.float32)


def kinect_noise(depth, seed=0) -> np.ndarray:
    """Depth in the steps of an 11-bit disparity, with a tenth of a pixel of noise."""
    disparity = 1.0 / (0.00285 * depth) + np.random.default_rng(seed).normal(0, 0.5, depth.shape)
    return 1.0 / (0.00285 * np.round(disparity))


@pytest.mark.parametrize(
    "normal", [(0, 0, 1), (0.3, -0.2, 1), (0, 1, 0.3), (0, -1, 0.4), (0.9, 0, 0.6)]
)
def test_planes_are_exact_and_face_the_camera(normal):
    depth, expected = plane(normal, 1.5 * np.sign(normal[2]) or 1.5)
    depth[(depth <= 0) | (depth > 6)] = np.nan
    points = points_of(depth)
    normals = organised_normals(points)
    assert normals.dtype == np.float32
    valid = np.isfinite(depth)
    seen = valid & (np.linalg.norm(normals, axis=2) > 0)
    assert seen.sum() > 0.98 * valid.sum()
    assert degrees_between(normals[seen], expected).max() < 1.0
    assert np.median(degrees_between(normals[seen], expected)) < 0.05
    assert (np.einsum("ijk,ijk->ij", normals, points)[seen] < 0).all()
    assert not normals[~valid].any()


def test_a_sphere():
    """Radius 0.3 m at 1 m. Normals are known at every pixel that sees it."""
    centre, radius = np.array([0.05, -0.02, 1.0]), 0.3
    b = RAYS @ centre
    a = np.einsum("ijk,ijk->ij", RAYS, RAYS)
    root = b**2 - a * (centre @ centre - radius**2)
    with np.errstate(invalid="ignore"):
        depth = (b - np.sqrt(root)) / a
    points = points_of(depth)
    normals = organised_normals(points)
    expected = (RAYS * depth[..., None] - centre) / radius
    with np.errstate(invalid="ignore"):
        facing = np.isfinite(depth) & (
            degrees_between(expected, -RAYS / np.sqrt(a)[..., None]) < 60
        )
    wrong = degrees_between(normals, expected)[facing]
    assert facing.sum() > 10_000
    assert wrong.max() < 6 and np.median(wrong) < 0.5


@pytest.mark.parametrize(("distance", "limit"), [(0.8, 2), (1.5, 3), (3.0, 5)])
def test_a_noisy_wall(distance, limit):
    depth, expected = plane((0.2, 0.1, 1), distance)
    normals = organised_normals(points_of(kinect_noise(depth)))
    assert np.median(degrees_between(normals, expected)) < limit


def test_an_edge_in_depth_does_not_bend_the_normals_beside_it():
    """A board at 1 m before a wall at 2 m: both face the camera up to the last pixel."""
    depth = np.full((240, 320), 2.0)
    depth[60:180, 100:220] = 1.0
    normals = organised_normals(points_of(depth))
    assert degrees_between(normals, (0, 0, -1)).max() < 0.1


def test_holes_leave_the_rest_unharmed():
    depth, expected = plane((0.3, -0.2, 1), 1.5)
    holes = np.random.default_rng(0).random(depth.shape) < 0.05
    depth[holes] = np.nan
    normals = organised_normals(points_of(depth))
    seen = np.linalg.norm(normals, axis=2) > 0
    assert not seen[holes].any() and seen[~holes].mean() > 0.99
    assert degrees_between(normals[seen], expected).max() < 0.5


def test_a_room_corner_stays_sharp_within_the_window():
    """Floor and wall meet without a jump in depth; 8 pixels away both are exact."""
    floor, up = plane((0, 1, 0), 0.5)
    wall, toward = plane((0, 0, 1), 2.5)
    floor[floor <= 0] = np.inf
    depth = np.minimum(floor, wall)
    normals = organised_normals(points_of(depth))
    row = int(np.argmax((floor < wall)[:, 160]))
    assert degrees_between(normals[: row - 8], toward).max() < 0.1
    assert degrees_between(normals[row + 8 : -1, 1:-1], up).max() < 0.6


def test_a_lone_pixel_and_missing_images():
    points = np.full((5, 5, 3), np.nan, np.float32)
    points[2, 2] = 0, 0, 1
    assert not organised_normals(points).any()
    for shape in ((0, 0, 3), (1, 1, 3), (1, 9, 3), (9, 1, 3), (2, 0, 3)):
        assert organised_normals(np.ones(shape, np.float32)).shape == shape


@settings(max_examples=100, deadline=None)
@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 12), st.integers(1, 12), st.just(3)),
        elements=st.floats(width=32),
    )
)
def test_any_grid_gives_unit_vectors_or_zeros(points):
    length = np.linalg.norm(organised_normals(points).astype(np.float64), axis=2)
    assert (np.isclose(length, 1, atol=1e-3) | (length == 0)).all()


@pytest.fixture(params=["open3d", "scipy"])
def neighbours(request, monkeypatch):
    """Fit by each of the libraries that find neighbours."""
    if request.param == "scipy":
        monkeypatch.setitem(sys.modules, "open3d", None)  # importing it fails
    normals._open3d.cache_clear()
    yield
    normals._open3d.cache_clear()


@pytest.mark.usefixtures("neighbours")
def test_neighbourhood_of_a_plane_faces_the_sensor():
    rng = np.random.default_rng(0)
    points = np.c_[rng.uniform(-1, 1, (2000, 2)), np.zeros(2000)].astype(np.float32)
    for side in (1.0, -1.0):
        normals = neighbourhood_normals(points, np.array([0.3, 0, side]))
        assert normals.dtype == np.float32
        assert degrees_between(normals, (0, 0, side)).max() < 0.01


@pytest.mark.usefixtures("neighbours")
def test_neighbourhood_of_a_sphere_seen_from_inside():
    points = np.random.default_rng(0).normal(size=(8000, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    normals = neighbourhood_normals((5 * points).astype(np.float32), -points)
    wrong = degrees_between(normals, -points)
    assert np.median(wrong) < 1.5 and wrong.max() < 12


@pytest.mark.usefixtures("neighbours")
@pytest.mark.parametrize(
    "points",
    [
        np.zeros((0, 3)),
        np.ones((1, 3)),
        np.eye(3)[:2],
        np.ones((30, 3)),
        np.linspace(0, 1, 30)[:, None] * np.array([1.0, 2, 3]),
    ],
    ids=["none", "one", "two", "one spot", "line"],
)
def test_where_no_plane_is_spanned_the_normal_is_zero(points):
    normals = neighbourhood_normals(points.astype(np.float32), np.array([0.0, 0, 1]))
    np.testing.assert_array_equal(normals, np.zeros_like(points))


@pytest.mark.usefixtures("neighbours")
def test_three_points_span_a_plane():
    points = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], np.float32)
    normals = neighbourhood_normals(points, np.array([0, 0, 2.0]))
    np.testing.assert_allclose(normals, np.tile([0, 0, 1], (3, 1)), atol=1e-6)


@pytest.mark.usefixtures("neighbours")
def test_points_far_from_the_origin_keep_their_normals():
    rng = np.random.default_rng(0)
    points = np.c_[rng.uniform(-1, 1, (500, 2)), np.zeros(500)] + (3000, -2000, 50)
    normals = neighbourhood_normals(points, np.array([0, 0, 1.0]))
    assert degrees_between(normals, (0, 0, 1)).max() < 0.1


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(np.float64, st.tuples(st.integers(0, 20), st.just(3)), elements=st.floats(-50, 50))
)
def test_any_cloud_gives_unit_vectors_or_zeros(points):
    normals = neighbourhood_normals(points, np.array([0, 0, 1.0]))
    length = np.linalg.norm(normals.astype(np.float64), axis=1)
    assert (np.isclose(length, 1, atol=1e-3) | (length == 0)).all()


@pytest.mark.usefixtures("neighbours")
@pytest.mark.skipif(not DATA.is_dir(), reason="needs the recordings in ../shared/data")
def test_the_ground_of_a_recorded_lidar_scan_points_up():
    scan = np.load(DATA / "lidar_ouster" / "OS-1-128_v2.3.0_1024x10_lb_n3_0.npz")["xyz"]
    ground = np.abs(scan[:, 2] - np.median(scan[scan[:, 2] < -0.5, 2])) < 0.2
    ground &= np.linalg.norm(scan[:, :2], axis=1) < 8
    normals = neighbourhood_normals(scan, -scan)
    assert ground.sum() > 1000
    assert np.median(normals[ground, 2]) > 0.95


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the recordings in ../shared/data")
def test_the_far_wall_of_a_recorded_office_has_one_normal():
    """Five metres away, where the steps of the sensor are 7.5 cm."""
    import open3d as o3d

    cloud = o3d.t.io.read_point_cloud(str(DATA / "pcd" / "office1.pcd"))
    points = cloud.point["positions"].numpy()
    normals = organised_normals(points.reshape(480, 640, 3)).reshape(-1, 3)
    known = np.flatnonzero(normals.any(axis=1))
    fit = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(points[known].astype(float)))
    o3d.utility.random.seed(0)
    (a, b, c, d), inside = fit.segment_plane(0.02, 3, 500)
    wrong = degrees_between(normals[known[inside]], np.sign(d) * np.array([a, b, c]))
    assert len(inside) > 20_000 and np.median(points[known[inside], 2]) > 4
    assert np.median(wrong) < 10


@pytest.mark.usefixtures("neighbours")
def test_some_rows_get_what_all_rows_get():
    random = np.random.default_rng(3)
    points = random.uniform(0, 2, (2000, 3)) + [50.0, -20.0, 3.0]
    points[:1000, 2] = 3.0
    points[1000:, 0] = 50.0
    toward = np.array([51.0, -19.0, 4.0]) - points
    rows = np.sort(random.choice(2000, 100, replace=False))
    every = neighbourhood_normals(points, toward)
    some = neighbourhood_normals(points, toward, rows=rows)
    alike = np.abs(some - every[rows]).max(axis=1) < 1e-3
    assert alike.mean() > 0.95  # at the edge, equally near neighbours may be chosen differently
    assert neighbourhood_normals(points, toward, rows=rows[:0]).shape == (0, 3)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_what_is_too_short_has_no_direction(kind):
    vectors = np.array([[3, 0, -4], [0, 5e-4, 0], [0, 2e-3, 0], [0, 0, 0]], kind)
    of_length_one = unit_vectors(vectors)
    assert of_length_one.dtype == kind
    wanted = [[0.6, 0, -0.8], [0, 0, 0], [0, 1, 0], [0, 0, 0]]
    np.testing.assert_allclose(of_length_one, wanted, atol=1e-6)
    wanted[1] = [0, 1, 0]
    np.testing.assert_allclose(unit_vectors(vectors, shortest=0), wanted, atol=1e-6)


def test_without_open3d_the_normals_are_the_same_and_it_is_logged(monkeypatch, caplog):
    points = np.random.default_rng(0).uniform(0, 2, (3000, 3))
    points[np.arange(3000), np.arange(3000) % 3] = 0
    toward, rows = np.ones(3) - points, np.arange(0, 3000, 7)

    class Broken:
        def find_spec(self, name, path=None, target=None):
            if name == "open3d":
                raise OSError("libGL.so.1: cannot open shared object file")

    def fitted():
        normals._open3d.cache_clear()
        every = neighbourhood_normals(points, toward)
        return every, neighbourhood_normals(points, toward, rows=rows)

    expected = fitted()
    monkeypatch.delitem(sys.modules, "open3d")
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    for got, wanted in zip(fitted(), expected, strict=True):
        assert (np.abs(got - wanted).max(axis=1) < 1e-3).mean() > 0.99
    assert caplog.text.count("Open3D cannot be loaded (libGL.so.1") == 1
    assert "apt install libgl1" in caplog.text
    normals._open3d.cache_clear()


@pytest.mark.parametrize("step", (2, 3, 5))
def test_normals_of_every_so_many_th_pixel_are_those_of_the_surface(step):
    """A floor 0.3 m below a camera that looks ahead: 0.4 m between rows 3 m away."""
    depth, expected = plane((0, 1, 0), 0.3)
    depth[(depth <= 0) | (depth > 3)] = np.nan
    points = points_of(depth)
    part = points[step // 2 :: step, step // 2 :: step]
    found = organised_normals(part, step, np.linalg.norm(points, axis=2))
    seen = np.isfinite(part[..., 2])
    assert degrees_between(found[seen], expected).max() < 1.0


def test_an_edge_between_every_so_many_th_pixel_is_still_one():
    """A step of 0.15 m at 2 m: more than between two pixels of a surface, less than of four."""
    depth = np.full((240, 320), 2.0)
    depth[:, 160:] = 2.15
    points = points_of(depth)
    part = points[2::4, 2::4]
    found = organised_normals(part, 4, np.linalg.norm(points, axis=2))
    assert degrees_between(found, (0, 0, -1)).max() < 0.1

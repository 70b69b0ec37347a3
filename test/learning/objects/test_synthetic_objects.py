# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The synthetic benchmark: shapes, how they are seen, and sets of them."""

from __future__ import annotations

import numpy as np
import pytest

from concerto_ros.learning.objects.data.object_set import ObjectSet, join
from concerto_ros.learning.objects.data.shapes import build
from concerto_ros.learning.objects.data.synthetic import (
    CLASSES,
    POINTS,
    object_points,
    synthetic_objects,
)
from concerto_ros.learning.objects.data.views import observe, surface, voxel_means
from concerto_ros.sim.mesh import Finish, box


def small_set(**changes) -> ObjectSet:
    rng = np.random.default_rng(0)
    content = dict(
        name="small",
        points=rng.normal(size=(6, 20, 3)).astype(np.float32),
        labels=np.array([0, 0, 0, 2, 2, 2]),
        classes=("a", "b", "c"),
    )
    return ObjectSet(**(content | changes))


@pytest.mark.parametrize("name", CLASSES)
def test_every_shape_stands_on_the_floor_and_varies(name):
    boxes = []
    for seed in range(3):
        mesh = build(name, np.random.default_rng(seed))
        low, high = mesh.bounds()
        assert np.isfinite(mesh.corners).all()
        np.testing.assert_allclose([*(low + high)[:2], low[2]], 0, atol=1e-5)
        assert 0.02 < (high - low).max() < 3.5
        boxes.append(high - low)
    assert np.ptp(boxes, axis=0).max() > 0.01


def test_there_are_enough_classes():
    assert len(set(CLASSES)) == len(CLASSES) >= 15


def test_a_surface_is_covered_evenly():
    mesh = box((1.0, 2.0, 3.0), (0, 0, 1.5), Finish((0.5, 0.5, 0.5)), "other")
    points = surface(mesh, 22_000, np.random.default_rng(0))
    on_side = np.abs(np.abs(points) - (0.5, 1.0, 0.0)) < 1e-5
    on_side[:, 2] = np.minimum(points[:, 2], 3 - points[:, 2]) < 1e-5
    assert on_side.any(1).all()
    # Areas of the sides: 12 across x, 6 across y, 4 across z, of 22.
    np.testing.assert_allclose(on_side.mean(0), np.array([12, 6, 4]) / 22, atol=0.02)


def test_a_camera_sees_the_near_side_only_and_errs_by_millimetres():
    mesh = box((0.4, 0.4, 0.4), (0, 0, 0.2), Finish((0.5, 0.5, 0.5)), "other")
    shares, errors = [], []
    for seed in range(6):
        points = observe(mesh, "view", np.random.default_rng(seed))
        outside = np.abs(points - (0, 0, 0.2)) - 0.2
        # Beside an edge a reading may fly between two sides: within the box, or just off it.
        errors.append(np.median(np.abs(outside.max(1))))
        faces = [points[:, axis] * side for axis in range(2) for side in (-1, 1)]
        shares.append(sum((face > 0.19).mean() > 0.05 for face in faces))
    assert max(shares) <= 2 and min(shares) >= 1
    assert max(errors) < 0.01


def test_a_map_has_one_point_in_a_voxel():
    points = np.array([[0.001, 0.0, 0.0], [0.003, 0.0, 0.0], [0.03, 0.0, 0.0]], np.float32)
    np.testing.assert_allclose(voxel_means(points, 0.02), [[0.002, 0, 0], [0.03, 0, 0]], atol=1e-7)
    assert len(object_points("train", 0, 0, "map")) < len(object_points("train", 0, 0, "surface"))


def test_another_kind_of_view_is_refused():
    mesh = build("mug", np.random.default_rng(0))
    with pytest.raises(ValueError, match="kind is 'side', expected one of surface, view, map"):
        observe(mesh, "side", np.random.default_rng(0))


def test_objects_are_made_once_and_the_same_again(tmp_path):
    kind = "map"
    first = synthetic_objects(tmp_path / "a", "test", 2, kind, processes=1)
    assert first.points.shape == (2 * len(CLASSES), POINTS, 3)
    assert first.points.dtype == np.float32 and first.classes == CLASSES
    np.testing.assert_allclose(np.linalg.norm(first.points, axis=2).max(1), 1, atol=0.3)
    assert first.labels.tolist() == [i for i in range(len(CLASSES)) for _ in range(2)]
    stamp = next((tmp_path / "a").iterdir()).stat().st_mtime_ns
    again = synthetic_objects(tmp_path / "a", "test", 2, kind)
    assert next((tmp_path / "a").iterdir()).stat().st_mtime_ns == stamp
    np.testing.assert_array_equal(again.points, first.points)
    single = synthetic_objects(tmp_path / "b", "test", 1, kind, processes=1)
    np.testing.assert_array_equal(single.points, first.points[::2])
    other = synthetic_objects(tmp_path / "c", "train", 1, kind, processes=1)
    assert (np.abs(other.points - single.points).max((1, 2)) > 0.01).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("dev", 2, "view"), "split is 'dev', expected one of train, test"),
        (("test", 2, "front"), "kind is 'front', expected one of"),
        (("test", 0, "view"), "per_class is 0, expected at least 1"),
    ],
)
def test_a_set_that_there_is_not_is_refused(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        synthetic_objects(tmp_path, *arguments)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"points": np.zeros((6, 20, 4), np.float32)}, r"small: points have shape \(6, 20, 4\)"),
        ({"labels": np.zeros(5, int)}, r"labels have shape \(5,\), expected \(6,\)"),
        ({"labels": np.full(6, 3)}, "label 3, expected 0 to 2"),
        ({"point_labels": np.zeros((6, 3), int)}, r"shape \(6, 3\), expected \(6, 20\)"),
        ({"points": np.full((6, 20, 3), np.nan, np.float32)}, "object 0 has points that are not"),
    ],
)
def test_a_set_that_does_not_fit_together_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        small_set(**changes)


def test_sets_are_cut_and_joined():
    whole = small_set(point_labels=np.arange(120).reshape(6, 20))
    some = whole.some_of_each(2, seed=3)
    assert some.labels.tolist() == [0, 0, 2, 2]
    both = join("both", [some, whole])
    assert len(both) == 10 and both.point_labels.shape == (10, 20)
    np.testing.assert_array_equal(both.take([4]).points, whole.points[:1])
    with pytest.raises(ValueError, match="a has 3 objects, expected 4"):
        whole.some_of_each(4)
    with pytest.raises(ValueError, match="different classes"):
        join("both", [whole, small_set(classes=("a", "b", "d"))])

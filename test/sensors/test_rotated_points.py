# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Points are rotated in the thread that calls, whatever their number."""

from __future__ import annotations

import numpy as np
import pytest

from concerto_ros.sensors.frame import Frame, OriginalPoints, rotated

#: OpenBLAS computes a product in the calling thread up to this many multiplications.
UNDIVIDED = 1 << 18


def cloud(count: int, dtype: type = np.float32) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(count)
    rotation = np.linalg.qr(random.normal(size=(3, 3)))[0]
    return random.normal(scale=5.0, size=(count, 3)).astype(dtype), rotation


@pytest.mark.parametrize("dtype, off", [(np.float32, 1e-5), (np.float64, 1e-13)])
@pytest.mark.parametrize("count", [0, 1, 16_384, 50_001])
def test_every_point_is_rotated_in_its_own_precision(count, dtype, off):
    points, rotation = cloud(count, dtype)
    result = rotated(points, rotation)
    assert result.dtype == dtype
    wanted = np.einsum("ij,nj->ni", rotation, points.astype(np.float64))
    np.testing.assert_allclose(result, wanted, rtol=0, atol=off)
    np.testing.assert_allclose(rotated(points[::-1], rotation), wanted[::-1], rtol=0, atol=off)


def test_no_product_is_divided_among_threads(monkeypatch):
    sizes = []
    product = np.matmul

    def counting(left, right, **more):
        sizes.append(left.size * right.shape[1])
        return product(left, right, **more)

    monkeypatch.setattr(np, "matmul", counting)
    points, rotation = cloud(100_000)
    frame = Frame(points=points, stamp=1, frame_id="camera", normals=points)
    frame.transformed(rotation, np.ones(3), "odom")
    assert sum(sizes) == 2 * 9 * len(points)
    assert max(sizes) <= UNDIVIDED


def test_original_points_are_placed_as_those_of_the_frame():
    points, rotation = cloud(40_000)
    original = OriginalPoints(points, (1, len(points)), 1, "camera")
    frame = Frame(points=points, stamp=1, frame_id="camera", original=original)
    placed = frame.transformed(rotation, np.array([1.0, -2.0, 0.5]), "odom")
    np.testing.assert_array_equal(placed.original.placed(), placed.points)

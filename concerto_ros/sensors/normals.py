# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Surface normals, from the grid of a depth image or from neighbours in a cloud."""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

import numpy as np

log = logging.getLogger(__name__)

#: Two neighbouring pixels lie on different surfaces where their distances r differ by more than
#: JUMP_SQUARED * r^2 + JUMP * r: the first grows as the noise of triangulating cameras does (a
#: Kinect's steps are 0.003 r^2), the second allows steep surfaces up close.
JUMP_SQUARED = 0.01  # 1/m
JUMP = 0.01

#: Metres; points farther away count as missing: products of their differences overflow float32.
FARTHEST = 1e6

#: Windows over which a surface is fitted, narrowest first: half width in pixels of the image
#: reduced by a factor, the factor, and metres from the sensor from which the window is used. The
#: noise of a slope falls with the square of the width; the widest window is for the far part of a
#: depth image, whose steps are centimetres.
WINDOWS = ((1, 1, 0.0), (3, 1, 0.0), (3, 2, 0.0), (7, 2, 3.0))


def organised_normals(
    points: np.ndarray, step: int = 1, image: np.ndarray | None = None
) -> np.ndarray:
    """Unit normals of an organised cloud, facing the sensor at the origin.

    Least-squares tangents over square windows which end before depth edges and missing points
    (adaptive windows after Holzer et al., "Adaptive neighborhood selection for real-time surface
    normal estimation from organized point cloud data", IROS 2012). Next to an edge: differences to
    the neighbours on the same surface. Made for depth cameras; for the few rows of a LiDAR use
    :func:`neighbourhood_normals`.

    Args:
        points: (H, W, 3) float32, metres, NaN where there is no reading.
        step: The points are those of one pixel of each ``step`` x ``step`` of an image, mostly the
            one in row and column ``step // 2`` of these. Two of them are on one surface where the
            pixels between the middles are, too: a floor that is seen at a grazing angle has as
            large steps between distant rows as the edge of a table has.
        image: Distances of all pixels of that image from the sensor, metres; needed where
            ``step`` is not 1.

    Returns:
        (H, W, 3) float32; zeros where there is no reading or no neighbour on the surface.
    """
    import cv2

    points = np.ascontiguousarray(points, np.float32)
    height, width = points.shape[:2]
    if min(height, width) < 2:
        return np.zeros_like(points)
    with np.errstate(over="ignore", invalid="ignore"):
        distance = cv2.sqrt(cv2.transform(points * points, np.ones((1, 3), np.float32)))
        valid = distance < FARTHEST
    filled = np.where(valid[..., None], points, np.float32(0))
    right, down = (_same_surface(distance, axis, step, image) for axis in (1, 0))

    # 0 where the cross of a pixel and its four neighbours is broken.
    whole = valid.astype(np.uint8)
    whole[:, :-1] &= right
    whole[:, 1:] &= right
    whole[:-1] &= down
    whole[1:] &= down
    bordered = cv2.copyMakeBorder(whole, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    clearance = cv2.distanceTransform(bordered, cv2.DIST_C, 3)[1:-1, 1:-1]

    normals = np.zeros_like(filled)
    for half, factor, nearest in WINDOWS:
        if factor * min(height, width) > 2 * half:
            use = (clearance > factor * (half + 1) - 1) & (distance >= nearest)
            _put_window_normals(normals, filled, half, factor, use)
    _put_edge_normals(normals, filled, right, down, valid & (clearance <= 1))
    return _oriented(normals, -filled)


def _same_surface(
    distance: np.ndarray, axis: int, step: int, image: np.ndarray | None
) -> np.ndarray:
    """Return whether each pixel and the next one along the axis lie on one surface."""
    difference, limit = _differences(distance, axis)
    with np.errstate(invalid="ignore"):
        same = difference <= step * limit
        if step > 1 and image is not None:
            lines = image[step // 2 :: step] if axis else image[:, step // 2 :: step]
            difference, limit = _differences(lines, axis)
            # Where a reading between the two is missing, they decide alone.
            jumps = np.moveaxis(difference > limit, axis, 0)
            rows = np.moveaxis(same, axis, 0)
            for first in range(step // 2, step // 2 + step):
                rows &= ~jumps[first::step][: len(rows)]
    return same


def _differences(distance: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Return how much the distances of each pixel and the next differ, and may on one surface."""
    near = distance[:, :-1] if axis else distance[:-1]
    far = distance[:, 1:] if axis else distance[1:]
    with np.errstate(invalid="ignore"):
        nearer = np.minimum(near, far)
        return np.abs(far - near), nearer * (JUMP_SQUARED * nearer + np.float32(JUMP))


def _put_window_normals(
    normals: np.ndarray, points: np.ndarray, half: int, factor: int, use: np.ndarray
) -> None:
    """Set ``normals`` where ``use`` is true to the cross product of least-squares tangents.

    The window is (2 half + 1)^2 pixels of the image reduced by ``factor``. Not normalised.
    """
    import cv2

    height, width = (n // factor * factor for n in use.shape)
    small = points[:height, :width]
    if factor > 1:
        size = (width // factor, height // factor)
        small = cv2.resize(small, size, interpolation=cv2.INTER_AREA)
    slope = np.arange(-half, half + 1, dtype=np.float32)
    slope /= np.abs(slope).sum()
    flat = np.full(2 * half + 1, 1 / (2 * half + 1), np.float32)
    along_row = cv2.sepFilter2D(small, -1, slope, flat)
    along_column = cv2.sepFilter2D(small, -1, flat, slope)
    fitted = _cross(along_row, along_column)
    if factor > 1:
        fitted = cv2.resize(fitted, (width, height), interpolation=cv2.INTER_NEAREST)
    mask = np.ascontiguousarray(use[:height, :width]).view(np.uint8)
    cv2.copyTo(fitted, mask, normals[:height, :width])


def _put_edge_normals(
    normals: np.ndarray, points: np.ndarray, right: np.ndarray, down: np.ndarray, use: np.ndarray
) -> None:
    """Set ``normals`` where ``use`` is true to the cross product of mean differences.

    The differences are those to the neighbours on the same surface. Not normalised.
    """
    height, width = use.shape
    rows, columns = np.nonzero(use)
    flat = points.reshape(-1, 3)
    pixels = rows * width + columns
    centre = flat[pixels]
    right, down = np.pad(right, ((0, 0), (1, 1))), np.pad(down, ((1, 1), (0, 0)))

    def difference(joined_before: np.ndarray, joined_after: np.ndarray, step: int) -> np.ndarray:
        before = centre - flat.take(pixels - step, axis=0, mode="clip")
        after = flat.take(pixels + step, axis=0, mode="clip") - centre
        return before * joined_before[:, None] + after * joined_after[:, None]

    along_row = difference(right[rows, columns], right[rows, columns + 1], 1)
    along_column = difference(down[rows, columns], down[rows + 1, columns], width)
    normals.reshape(-1, 3)[pixels] = _cross(along_row, along_column)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Compute ``np.cross`` along the last axis, several times faster."""
    out = np.empty_like(a)
    for i, (j, k) in enumerate(((1, 2), (2, 0), (0, 1))):
        np.multiply(a[..., j], b[..., k], out=out[..., i])
        out[..., i] -= a[..., k] * b[..., j]
    return out


def _oriented(normals: np.ndarray, sensor_direction: np.ndarray) -> np.ndarray:
    """Normalise and flip normals to face the sensor; zeros where they have no direction."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        scale = 1 / np.sqrt(_dot(normals, normals))
        scale[~np.isfinite(scale)] = 0
        np.negative(scale, out=scale, where=_dot(normals, sensor_direction) < 0)
        return np.nan_to_num(normals, copy=False) * scale[..., None]


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Compute scalar products along the last axis."""
    total = a[..., 0] * b[..., 0]
    total += a[..., 1] * b[..., 1]
    total += a[..., 2] * b[..., 2]
    return total


def neighbourhood_normals(
    points: np.ndarray, toward: np.ndarray, k: int = 16, rows: np.ndarray | None = None
) -> np.ndarray:
    """Unit normals of an unorganised cloud from each point's ``k`` nearest neighbours.

    Args:
        points: (N, 3), metres, finite.
        toward: (N, 3) or (3,), directions from the points to the sensor, of any length; the
            normals face that way.
        k: Neighbours of the plane fit, the point itself among them.
        rows: (M,) indices of the points whose normals are computed; None: all. Neighbours are
            searched among all points.

    Returns:
        (N, 3) or (M, 3) float32; zeros where the neighbours span no plane (fewer than three
        points, or all at one position or on one line).
    """
    points = np.ascontiguousarray(points, np.float64).reshape(-1, 3)
    sensor_direction = np.broadcast_to(np.asarray(toward, np.float32), points.shape)
    if rows is not None:
        sensor_direction = sensor_direction[rows]
    if len(points) < 3 or len(sensor_direction) == 0:
        return np.zeros((len(sensor_direction), 3), np.float32)
    fit = _fit_by_scipy if _open3d() is None else _fit_by_open3d
    covariances, normals = fit(points, rows, max(3, k))
    # On a line or at one position any direction fits: the sum of the principal minors is the
    # product of the two larger eigenvalues (plus small terms), zero against the squared trace.
    trace = np.trace(covariances, axis1=1, axis2=2)
    minors = 0.5 * (trace**2 - np.einsum("nij,nji->n", covariances, covariances))
    normals[~(minors > 1e-9 * trace**2)] = 0
    return _oriented(normals, sensor_direction)


@cache
def _open3d() -> Any:
    """Return Open3D; None where it is missing, or a library of the system that it needs is."""
    try:
        import open3d
    except Exception as error:  # the loader's OSError, or whatever another version of NumPy raises
        log.warning(
            "normals are fitted by SciPy, which is slower: Open3D cannot be loaded (%s)%s",
            " ".join(str(error).split()) or type(error).__name__,
            "; on Ubuntu: apt install libgl1 libegl1 libx11-6 libgomp1" * ("lib" in str(error)),
        )
        return None
    return open3d


def _fit_by_open3d(
    points: np.ndarray, rows: np.ndarray | None, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return covariances (M, 3, 3) of the neighbours and their normals (M, 3) float32."""
    o3d = _open3d()
    cloud = o3d.geometry.PointCloud(
        o3d.utility.Vector3dVector(points if rows is None else points[rows])
    )
    search = o3d.geometry.KDTreeSearchParamKNN(k)
    if rows is None:
        cloud.estimate_covariances(search)
    else:
        # Relative to their mean, where float32 resolves the differences between neighbours.
        local = (points - points.mean(axis=0)).astype(np.float32)
        nearest = o3d.core.nns.NearestNeighborSearch(o3d.core.Tensor.from_numpy(local))
        nearest.knn_index()
        queries = np.ascontiguousarray(local[rows])
        index, _ = nearest.knn_search(o3d.core.Tensor.from_numpy(queries), k)
        covariances = _covariances(local[index.numpy()])
        cloud.covariances = o3d.utility.Matrix3dVector(covariances)
    # Open3D uses existing covariances instead of a second search.
    cloud.estimate_normals(search, fast_normal_computation=True)
    return np.asarray(cloud.covariances), np.array(cloud.normals, dtype=np.float32)


def _fit_by_scipy(
    points: np.ndarray, rows: np.ndarray | None, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the same as :func:`_fit_by_open3d`, in one to four times the time."""
    from scipy.spatial import KDTree

    queries = points if rows is None else points[rows]
    # Unbalanced: built in half the time, and no slower for points spread over surfaces.
    _, index = KDTree(points, balanced_tree=False).query(queries, min(k, len(points)), workers=-1)
    covariances = _covariances(points[index])
    return covariances, np.linalg.eigh(covariances)[1][:, :, 0].astype(np.float32)


def _covariances(around: np.ndarray) -> np.ndarray:
    """Return covariances (M, 3, 3) float64 of M neighbourhoods (M, k, 3)."""
    around = around.astype(np.float64)
    around -= around.mean(axis=1, keepdims=True)
    return np.matmul(around.transpose(0, 2, 1), around) / around.shape[1]


def unit_vectors(vectors: np.ndarray, shortest: float = 1e-3) -> np.ndarray:
    """Normalise vectors to length one.

    Args:
        vectors: (V, 3) of any float type.
        shortest: Vectors not longer than this have no direction and become zeros.

    Returns:
        (V, 3) in the type of ``vectors``.
    """
    length = np.sqrt(np.einsum("vi,vi->v", vectors, vectors))[:, None]
    long = length > shortest
    return vectors * long / np.where(long, length, 1)


def unit_rows(normals: np.ndarray) -> np.ndarray:
    """Normalise normals (N, 3) of any number type to float32 of length one.

    Rows of zeros, and rows with NaN or infinity, become zeros: unknown.
    """
    normals = normals.astype(np.float64)
    normals[~np.isfinite(normals).all(axis=1)] = 0
    longest = np.abs(normals).max(initial=1)
    return unit_vectors(normals / longest, shortest=0).astype(np.float32)

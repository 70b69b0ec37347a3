# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Surface normals, from the grid of a depth image or from neighbours in a cloud."""

from __future__ import annotations

import numpy as np

#: Two neighbouring pixels lie on different surfaces where their distances r differ by more than
#: JUMP_SQUARED * r^2 + JUMP * r: the first grows as the noise of triangulating cameras does (a
#: Kinect's steps are 0.003 r^2), the second allows steep surfaces up close.
JUMP_SQUARED = 0.01  # 1/m
JUMP = 0.01

#: Windows over which a surface is fitted, narrowest first: half width in pixels of the image
#: reduced by a factor, the factor, and metres from the sensor from which the window is used. The
#: noise of a slope falls with the square of the width; the widest window is for the far part of a
#: depth image, whose steps are centimetres.
WINDOWS = ((1, 1, 0.0), (3, 1, 0.0), (3, 2, 0.0), (7, 2, 3.0))


def organised_normals(points: np.ndarray) -> np.ndarray:
    """Unit normals of an organised cloud, facing the sensor at the origin.

    Least-squares tangents over square windows which end before depth edges and missing points
    (adaptive windows after Holzer et al., "Adaptive neighborhood selection for real-time surface
    normal estimation from organized point cloud data", IROS 2012). Next to an edge: differences to
    the neighbours on the same surface. Made for depth cameras; for the few rows of a LiDAR use
    :func:`neighbourhood_normals`.

    Args:
        points: (H, W, 3) float32, metres, NaN where there is no reading.

    Returns:
        (H, W, 3) float32; zeros where there is no reading or no neighbour on the surface.
    """
    import cv2

    points = np.ascontiguousarray(points, np.float32)
    height, width = points.shape[:2]
    if min(height, width) < 2:
        return np.zeros_like(points)
    with np.errstate(over="ignore"):  # Points too far away to square count as missing.
        distance = cv2.sqrt(cv2.transform(points * points, np.ones((1, 3), np.float32)))
    valid = np.isfinite(distance)
    filled = np.where(valid[..., None], points, np.float32(0))
    right, down = _same_surface(distance, 1), _same_surface(distance, 0)

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


def _same_surface(distance: np.ndarray, axis: int) -> np.ndarray:
    """Return whether each pixel and the next one along the axis lie on one surface."""
    near = distance[:, :-1] if axis else distance[:-1]
    far = distance[:, 1:] if axis else distance[1:]
    with np.errstate(invalid="ignore"):
        nearer = np.minimum(near, far)
        return np.abs(far - near) <= nearer * (JUMP_SQUARED * nearer + np.float32(JUMP))


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
    import open3d as o3d

    points = np.ascontiguousarray(points, np.float64).reshape(-1, 3)
    sensor_direction = np.broadcast_to(np.asarray(toward, np.float32), points.shape)
    if rows is not None:
        sensor_direction = sensor_direction[rows]
    if len(points) < 3 or len(sensor_direction) == 0:
        return np.zeros((len(sensor_direction), 3), np.float32)
    cloud = o3d.geometry.PointCloud(
        o3d.utility.Vector3dVector(points if rows is None else points[rows])
    )
    search = o3d.geometry.KDTreeSearchParamKNN(max(3, k))
    if rows is None:
        cloud.estimate_covariances(search)
    else:
        covariances = _covariances(points, rows, max(3, k))
        cloud.covariances = o3d.utility.Matrix3dVector(covariances)
    covariances = np.asarray(cloud.covariances)
    # Open3D uses existing covariances instead of a second search.
    cloud.estimate_normals(search, fast_normal_computation=True)
    normals = np.array(cloud.normals, dtype=np.float32)
    # On a line or at one position any direction fits: the sum of the principal minors is the
    # product of the two larger eigenvalues (plus small terms), zero against the squared trace.
    trace = np.trace(covariances, axis1=1, axis2=2)
    minors = 0.5 * (trace**2 - np.einsum("nij,nji->n", covariances, covariances))
    normals[~(minors > 1e-9 * trace**2)] = 0
    return _oriented(normals, sensor_direction)


def _covariances(points: np.ndarray, rows: np.ndarray, k: int) -> np.ndarray:
    """Return (M, 3, 3) covariances of the ``k`` neighbours of the points ``rows`` (M,)."""
    import open3d as o3d

    # Relative to their mean, where float32 resolves the differences between neighbours.
    local = (points - points.mean(axis=0)).astype(np.float32)
    search = o3d.core.nns.NearestNeighborSearch(o3d.core.Tensor.from_numpy(local))
    search.knn_index()
    index, _ = search.knn_search(o3d.core.Tensor.from_numpy(np.ascontiguousarray(local[rows])), k)
    around = local[index.numpy()].astype(np.float64)
    around -= around.mean(axis=1, keepdims=True)
    return np.einsum("nki,nkj->nij", around, around) / around.shape[1]


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

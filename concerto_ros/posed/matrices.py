# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Matrices of poses and intrinsics: checked when they are read, made and changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from concerto_ros.files.data_error import DataError
from concerto_ros.files.error_text import in_words, one_line

#: How far a matrix of rotation may be from one, as files round it.
ROTATION_ERROR = 1e-2

#: A principal point that is off the middle by this much of width and height, and by as much of
#: both, is in pixels of another size.
OFF, ALIKE = 0.07, 0.05


def read_matrix(path: Path, what: str, shapes: tuple[tuple[int, int], ...]) -> np.ndarray:
    """Read a text file of numbers, as NumPy or ScanNet write them.

    Args:
        path: The file; commas count as spaces.
        what: What the matrix is, for messages.
        shapes: The accepted shapes.

    Raises:
        DataError: It cannot be read, or is of another shape; names file and matrix.
    """
    expected = " or ".join(f"{rows}x{columns}" for rows, columns in shapes)
    try:
        lines = path.read_text(encoding="utf-8").replace(",", " ").splitlines()
        matrix = np.array(
            [[float(word) for word in line.split()] for line in lines if line.split()]
        )
    except OSError as error:
        raise DataError(in_words(error)) from None
    except ValueError as error:
        raise DataError(
            f"{path}: {what}: {one_line(error)}, expected a matrix of {expected} numbers"
        ) from None
    if matrix.shape not in shapes:
        raise DataError(f"{path}: {what} of shape {matrix.shape}, expected {expected} numbers")
    return matrix


def rigid(pose: np.ndarray, where: str | Path) -> np.ndarray:
    """Check that a finite (4, 4) pose is a rotation and a translation; its rotation made exact.

    Raises:
        DataError: It is not; names the file ``where``.
    """
    rotation = pose[:3, :3]
    square = np.abs(rotation @ rotation.T - np.eye(3)).max()
    if square > ROTATION_ERROR or np.linalg.det(rotation) < 0:
        raise DataError(
            f"{where}: pose: its upper left 3x3 part is no rotation, expected a 4x4 matrix from"
            " the camera (x right, y down, z forward) to the world, in metres"
        )
    left, _, right = np.linalg.svd(rotation)
    exact = pose.copy()
    exact[:3, :3] = left @ right
    return exact


def finite_intrinsics(matrix: np.ndarray, where: str | Path) -> np.ndarray:
    """Return the (3, 3) part of a matrix of intrinsics.

    Raises:
        DataError: A value is not finite; names the file ``where``.
    """
    if not np.isfinite(matrix).all():
        raise DataError(f"{where}: intrinsics hold a value that is not finite, expected none")
    return matrix[:3, :3]


def check_principal_point(
    matrix: np.ndarray, size: tuple[int, ...], where: str | Path, what: str
) -> None:
    """Check that the intrinsics (3, 3) are those of images of this size.

    Args:
        matrix: The intrinsics.
        size: (height, width) of the images, pixels.
        where: The file of the intrinsics, for messages.
        what: Which images, for messages.

    Raises:
        DataError: The principal point says that they are of another size.
    """
    height, width = size
    x, y = matrix[0, 2], matrix[1, 2]
    across, down = x / width, y / height
    inside = 0 < across < 1 and 0 < down < 1
    if not inside or (abs(across - down) < ALIKE and abs((across + down) / 2 - 0.5) > OFF):
        expected = "near the middle of" if inside else "inside"
        raise DataError(
            f"{where}: principal point ({x:g}, {y:g}), expected one {expected} the {what} images"
            f" of {by(size)} pixels: the matrix is of another size"
        )


def pinhole_matrix(fx: float, fy: float, cx: float, cy: float) -> np.ndarray:
    """Return the matrix (3, 3) of a pinhole camera; all in pixels."""
    return np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])


def to_world(to_camera: np.ndarray) -> np.ndarray:
    """Invert rigid transforms (N, 4, 4): from world to camera, or back."""
    rotation = to_camera[:, :3, :3].transpose(0, 2, 1)
    poses = np.tile(np.eye(4), (len(to_camera), 1, 1))
    poses[:, :3, :3] = rotation
    poses[:, :3, 3] = -np.einsum("nij,nj->ni", rotation, to_camera[:, :3, 3])
    return poses


def resized(matrix: np.ndarray, size: tuple[int, ...], wanted: tuple[int, ...]) -> np.ndarray:
    """Return the intrinsics (3, 3) of images that are resized.

    Args:
        matrix: The intrinsics; the middle of the first pixel is at (0, 0).
        size: (height, width) of the images that they are of.
        wanted: (height, width) afterwards.
    """
    scale = np.array([wanted[1] / size[1], wanted[0] / size[0]])
    scaled = np.array(matrix, np.float64)
    scaled[[0, 1], [0, 1]] *= scale
    scaled[:2, 2] = (scaled[:2, 2] + 0.5) * scale - 0.5
    return scaled


def by(size: tuple[int, ...]) -> str:
    """Return (height, width) as people write it: ``640x480``."""
    return f"{size[1]}x{size[0]}"

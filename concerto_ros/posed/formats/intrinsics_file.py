# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Intrinsics of one camera in a file of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from concerto_ros.files.data_error import DataError
from concerto_ros.files.error_text import in_words, one_line
from concerto_ros.posed.matrices import finite_intrinsics, pinhole_matrix, read_matrix
from concerto_ros.posed.views import Intrinsics

#: Names under which such a file is looked for beside the images.
NAMES = ("camera.yaml", "camera_info.yaml", "calibration.yaml", "intrinsics.txt", "intrinsic.txt")

#: What a file may hold, for messages.
CONTENT = (
    "a 3x3 matrix or a line fx fy cx cy in a .txt, or a .yaml with fx, fy, cx and cy or with"
    " camera_matrix, as ROS's camera_calibration writes it"
)


def read_intrinsics(path: Path) -> tuple[Intrinsics, float | None]:
    """Read intrinsics.

    Returns:
        The intrinsics, and the metres of a unit of the depth images where the file says how many
            units are a metre (``depth_scale``).

    Raises:
        DataError: It cannot be read; names file and field.
    """
    if path.suffix not in (".yaml", ".yml"):
        matrix = read_matrix(path, "intrinsics", ((3, 3), (4, 4), (1, 4)))
        if matrix.shape == (1, 4):
            matrix = pinhole_matrix(*matrix[0])
        return Intrinsics(finite_intrinsics(matrix, path), str(path)), None
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(in_words(error)) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: {one_line(error)}, expected {CONTENT}") from None
    try:
        return _from_mapping(content, path)
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: {one_line(error)}, expected {CONTENT}") from None


def _from_mapping(content: Any, path: Path) -> tuple[Intrinsics, float | None]:
    if "camera_matrix" in content:
        matrix = np.array(content["camera_matrix"]["data"], np.float64).reshape(3, 3)
        width, height = content["image_width"], content["image_height"]
        model = str(content.get("distortion_model", "plumb_bob"))
        distortion = content.get("distortion_coefficients", {}).get("data", [])
    else:
        matrix = pinhole_matrix(*(float(content[name]) for name in ("fx", "fy", "cx", "cy")))
        width, height = content.get("width"), content.get("height")
        model, distortion = "", []
    size = None if width is None or height is None else (int(height), int(width))
    numbers = tuple(float(number) for number in distortion)
    units = content.get("depth_scale")
    if units is not None and not 0 < float(units) < np.inf:
        raise DataError(f"{path}: depth_scale: got {units}, expected units of a metre, above 0")
    intrinsics = Intrinsics(
        finite_intrinsics(matrix, path),
        str(path),
        size,
        model if any(numbers) else "",
        numbers if any(numbers) else (),
    )
    return intrinsics, None if units is None else 1 / float(units)

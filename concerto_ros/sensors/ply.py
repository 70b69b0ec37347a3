# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The .ply format: writing labelled clouds, and the reader of vertices."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from concerto_ros.sensors.cloud_files.ply import read_ply

__all__ = ["read_ply", "write_labelled_ply"]


def write_labelled_ply(
    path: str | Path,
    points: np.ndarray,
    rgb: np.ndarray,
    label: np.ndarray | None = None,
    confidence: np.ndarray | None = None,
    instance: np.ndarray | None = None,
    comment: str | Sequence[str] = (),
) -> None:
    """Write a binary .ply that CloudCompare, MeshLab, PCL and open3d read.

    Args:
        path: The file to write.
        points: (N, 3) metres; float64 is written as double, anything else as float.
        rgb: (N, 3) uint8.
        label: (N,) integers, written as int ``label`` (open3d skips unsigned ones).
        confidence: (N,) in [0, 1], written as float ``confidence``.
        instance: (N,) integers, written as int ``instance``.
        comment: Lines for the header, e.g. which model labelled it.

    Raises:
        ValueError: An array has another number of rows than ``points``.
        OSError: The file cannot be written.
    """
    count = len(points)
    real, real_name = ("<f8", "double") if points.dtype == np.float64 else ("<f4", "float")
    columns = [(axis, real, real_name, points[:, i]) for i, axis in enumerate("xyz")]
    columns += [
        (name, "u1", "uchar", rgb[:, i]) for i, name in enumerate(("red", "green", "blue"))
    ]
    if label is not None:
        columns.append(("label", "<i4", "int", label))
    if confidence is not None:
        columns.append(("confidence", "<f4", "float", confidence))
    if instance is not None:
        columns.append(("instance", "<i4", "int", instance))
    for name, _, _, values in columns:
        if len(values) != count:
            raise ValueError(f"{name}: got {len(values)} rows, expected {count} as in points")

    vertices = np.empty(count, [(name, number) for name, number, _, _ in columns])
    for name, _, _, values in columns:
        vertices[name] = values
    lines = comment.splitlines() if isinstance(comment, str) else list(comment)
    header = ["ply", "format binary_little_endian 1.0"]
    header += [f"comment {' '.join(line.split())}" for line in lines]
    header += [f"element vertex {count}"]
    header += [f"property {ply_name} {name}" for name, _, ply_name, _ in columns]
    header += ["end_header", ""]
    with Path(path).open("wb") as file:
        file.write("\n".join(header).encode("ascii", "replace"))
        file.write(vertices.tobytes())

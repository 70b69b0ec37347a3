# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The vertices of meshes by trimesh, which is optional: .obj, .glb, .gltf, .stl, .off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from concerto_ros.sensors.cloud_files.columns import Columns
from concerto_ros.sensors.input_error import InputError

#: Of these formats y is up by their standard.
Y_UP = (".glb", ".gltf")


def read_mesh(path: Path) -> Columns:
    """Read the vertices of a mesh and their colours; .glb and .gltf are turned to z up.

    Raises:
        InputError: ``malformed``, or ``unsupported``: trimesh is missing.
    """
    try:
        import trimesh
    except ImportError:
        raise InputError(
            "unsupported", f"{path}: reading {path.suffix} files needs: pip install trimesh"
        ) from None
    _check(path)
    try:
        scene = trimesh.load_scene(path, process=False)
        parts: list[Any] = [part for part in scene.dump() if len(getattr(part, "vertices", ()))]
        points = [np.asarray(part.vertices, np.float64) for part in parts]
        colors = [found for part in parts if (found := _vertex_colors(part)) is not None]
    except Exception as error:  # each of its loaders raises its own
        raise InputError(
            "malformed",
            f"{path}: not a readable {path.suffix}: it is damaged, cut short, or of another format"
            f" ({type(error).__name__})",
        ) from None
    if not parts:
        raise InputError("empty", f"{path}: got no vertices, expected at least one")
    columns: Columns = {"points": np.concatenate(points)}
    if path.suffix.lower() in Y_UP:
        x, y, z = columns["points"].T
        columns["points"] = np.stack([x, -z, y], axis=1)
    if len(colors) == len(parts):
        columns["colors"] = np.concatenate(colors)
    return columns


def _check(path: Path) -> None:
    """Check what trimesh takes for something else, or leaves out without a word."""
    with path.open("rb") as file:
        start = file.read(84)
    if path.suffix.lower() == ".off" and start[:5].split(b"OFF")[0] != b"":
        kind = start.split()[0].decode("ascii", "replace") if start.split() else "nothing"
        raise InputError(
            "unsupported",
            f"{path}: got {kind[:20]!r} in the first line, expected OFF; save vertices with"
            " colours or normals as .ply",
        )
    if path.suffix.lower() == ".stl" and not start.lstrip().startswith(b"solid"):
        expected = int.from_bytes(start[80:84], "little")
        got = max(0, path.stat().st_size - 84) // 50
        if got < expected:
            raise InputError(
                "malformed", f"{path}: cut short: got {got} triangles, expected {expected}"
            )


def _vertex_colors(part: Any) -> np.ndarray | None:
    """Return (N, 3) uint8 colours of the vertices of a mesh or of points; None without."""
    colors = getattr(part, "colors", None)  # of points
    visual = getattr(part, "visual", None)
    if colors is None and visual is not None and visual.defined:
        if visual.kind == "texture":
            visual = visual.to_color()
        if visual.kind == "vertex":
            colors = visual.vertex_colors
    if colors is None or len(colors) != len(part.vertices):
        return None
    return np.asarray(colors)[:, :3]

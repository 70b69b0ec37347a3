# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Triangles and colours of a model's file, by trimesh; y up in the file, z up and metres here."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from concerto_ros.sim.library.catalogue import Entry, FurnitureError

#: A picture is halved until its longer side has at most this many pixels: one pixel is then what
#: a triangle sees of it, instead of a speck of its pattern.
PICTURE_PIXELS = 256
#: What is more transparent than this is left out: glass that depth cameras see through.
LEAST_OPACITY = 0.25


@dataclass(frozen=True, eq=False)
class Surface:
    """The triangles of one material.

    Attributes:
        material: The material's name.
        corners: (T, 3, 3) float64, z up, the front towards +y, x centred, the back edge at y = 0,
            standing on z = 0, metres.
        uv: (T, 3, 2) float64, of each corner in the picture, (0, 0) its lower left corner.
        color: (3,) float64 in 0..1, of the material without its picture.
        picture: (H, W, 4) float64 in 0..1, red, green, blue and opacity; None where it has none.
    """

    material: str
    corners: np.ndarray
    uv: np.ndarray
    color: np.ndarray
    picture: np.ndarray | None


def read_model(entry: Entry) -> list[Surface]:
    """Read a model in its catalogue's size.

    Raises:
        FurnitureError: The file is damaged or has no triangles.
    """
    loaded = _load(entry)
    surfaces = []
    for node in loaded.graph.nodes_geometry:
        matrix, name = loaded.graph[node]
        geometry = loaded.geometry[name]
        if not hasattr(geometry, "faces") or not len(geometry.faces):
            continue
        points = geometry.vertices @ matrix[:3, :3].T + matrix[:3, 3]
        surface = _surface(geometry, str(name), points[geometry.faces])
        if surface is not None:
            surfaces.append(surface)
    if not surfaces:
        raise FurnitureError(f"{entry.source}: {entry.file} has no triangles; leave it out")
    return _upright(surfaces, entry)


def _load(entry: Entry) -> Any:
    import trimesh

    kind = PurePosixPath(entry.file).suffix.lower().lstrip(".")
    try:
        if entry.source.is_dir():
            return trimesh.load_scene(str(entry.source / entry.file), process=False)
        with zipfile.ZipFile(entry.source) as archive:
            members = {name: io.BytesIO(archive.read(name)) for name in _beside(archive, entry)}
            resolver = trimesh.resolvers.ZipResolver(
                members, namespace=str(PurePosixPath(entry.file).parent)
            )
            content = io.BytesIO(archive.read(entry.file))
            return trimesh.load_scene(content, file_type=kind, resolver=resolver, process=False)
    except Exception as error:  # each of its loaders raises its own
        raise FurnitureError(
            f"{entry.source}: {entry.file} cannot be read ({type(error).__name__}: {error});"
            " export it again as OBJ or GLB"
        ) from error


def _beside(archive: zipfile.ZipFile, entry: Entry) -> list[str]:
    """The materials and pictures in the folder of the model."""
    folder = str(PurePosixPath(entry.file).parent) + "/"
    ends = (".mtl", ".jpg", ".jpeg", ".png")
    return [
        name
        for name in archive.namelist()
        if name.startswith(folder) and name.lower().endswith(ends)
    ]


def _surface(geometry: Any, name: str, corners: np.ndarray) -> Surface | None:
    visual = geometry.visual
    uv = np.zeros((*corners.shape[:2], 2))
    if visual.kind != "texture":
        color = np.asarray(visual.main_color[:3], float) / 255
        return Surface(name, corners, uv, color, None)
    material = visual.material
    if hasattr(material, "to_simple"):
        material = material.to_simple()
    values = getattr(material, "kwargs", {}) or {}
    if float(np.ravel(values.get("d", 1.0))[0]) < LEAST_OPACITY:
        return None
    name = str(getattr(material, "name", None) or name)
    color = np.asarray(material.diffuse[:3], float) / 255
    picture = None
    if material.image is not None and visual.uv is not None:
        uv = np.asarray(visual.uv, float)[geometry.faces]
        picture = _picture(material.image)
    return Surface(name, corners, uv, color, picture)


def _picture(image: Any) -> np.ndarray:
    image = image.convert("RGBA")
    factor = int(np.ceil(max(image.size) / PICTURE_PIXELS))
    if factor > 1:
        image = image.reduce(factor)
    return np.asarray(image, float) / 255


def _upright(surfaces: list[Surface], entry: Entry) -> list[Surface]:
    """Turn a model upright, give it its catalogue's size and put it where pieces stand."""
    turn = np.reshape(entry.rotation, (3, 3))
    # Seen from above a catalogue's front is its +z; ours is +y, and x keeps to the right of it.
    turn = np.array([(-1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, 1.0, 0.0)]) @ turn
    every = np.concatenate([s.corners.reshape(-1, 3) for s in surfaces]) @ turn.T
    low, high = every.min(0), every.max(0)
    extent = np.maximum(high - low, 1e-9)
    scale = np.ones(3) if entry.size is None else np.asarray(entry.size) / extent
    # A flat side of a model (a carpet, a poster) has no size to scale.
    scale = np.where(extent < 1e-6, 1.0, scale)
    base = np.array([(low[0] + high[0]) / 2, low[1], low[2]])
    return [
        Surface(s.material, (s.corners @ turn.T - base) * scale, s.uv, s.color, s.picture)
        for s in surfaces
    ]

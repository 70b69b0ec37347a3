# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Triangles that rays can be cast into, with the label, normal and colour of what they hit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from concerto_ros.sim.lighting import Light, bake
from concerto_ros.sim.mesh import Mesh
from concerto_ros.sim.names import NAMELESS
from concerto_ros.sim.textures import NEUTRAL, TEXEL, TILE, tiles

#: The label of a ray that hit nothing.
NOTHING = 255


@dataclass(frozen=True, eq=False)
class Hits:
    """The hits of N rays.

    Attributes:
        distance: (N,) float32 in lengths of the ray's direction, infinite where nothing was hit.
        triangle: (N,) int64 row of the scene's mesh, meaningless where nothing was hit.
        barycentric: (N, 2) float32, weights of the triangle's second and third corner.
        hit: (N,) bool.
    """

    distance: np.ndarray
    triangle: np.ndarray
    barycentric: np.ndarray
    hit: np.ndarray

    @property
    def rows(self) -> np.ndarray:
        """(N,) int64 row of the scene's mesh, -1 where nothing was hit."""
        return np.where(self.hit, self.triangle, -1)


class Scene:
    """A labelled, lit mesh; the frame is REP-103's, metres.

    Args:
        mesh: all triangles with their labels and colours.
        lights: the area lights.
        ambient: strength of the ambient light.
    """

    def __init__(self, mesh: Mesh, lights: list[Light], ambient: float):
        self.mesh = mesh
        self._scene = _raycasting_scene(mesh)
        self._look = _look_up_tables(mesh, bake(self._scene, mesh, lights, ambient))

    def cast(self, origins: np.ndarray, directions: np.ndarray) -> Hits:
        """Cast rays to the first surface.

        Args:
            origins: (N, 3) or (3,) in the scene's frame, metres.
            directions: (N, 3) of any length; distances are in multiples of it.
        """
        import open3d as o3d

        rays = np.empty((len(directions), 6), np.float32)
        rays[:, :3] = origins
        rays[:, 3:] = directions
        result = self._scene.cast_rays(o3d.core.Tensor.from_numpy(rays))
        distance = result["t_hit"].numpy()
        hit = np.isfinite(distance)
        triangle = np.where(hit, result["primitive_ids"].numpy(), 0).astype(np.int64)
        return Hits(distance, triangle, result["primitive_uvs"].numpy(), hit)

    def labels(self, hits: Hits) -> np.ndarray:
        """Return the class of each hit, (N,) uint8, 255 where nothing was hit."""
        return self.labels_of(hits.rows)

    def names(self, hits: Hits) -> np.ndarray:
        """Return the number of the fine name of each hit, (N,) int16, 0 where there is none.

        :func:`concerto_ros.sim.names.names` lists the names by number.
        """
        return self.names_of(hits.rows)

    def labels_of(self, triangles: np.ndarray) -> np.ndarray:
        """Return the class of triangles, uint8 of the same shape, 255 for -1."""
        return np.append(self.mesh.label, np.uint8(NOTHING))[triangles]

    def names_of(self, triangles: np.ndarray) -> np.ndarray:
        """Return the number of the fine name of triangles, int16, 0 for -1."""
        return np.append(self.mesh.name, np.int16(NAMELESS))[triangles]

    def normals(self, hits: Hits) -> np.ndarray:
        """Return the unit normal of each hit's triangle, (N, 3) float32, on the lit side."""
        return self._look["normal"].take(hits.triangle, axis=0)

    def colors(self, hits: Hits) -> np.ndarray:
        """Return the colour of each hit, (3, N) float32 in 0..255, black where nothing was hit."""
        table, row = self._look, hits.triangle
        second, third = np.ascontiguousarray(hits.barycentric.T)

        def interpolated(name: str) -> np.ndarray:
            value = table[name + "1"].take(row)
            value *= second
            other = table[name + "2"].take(row)
            other *= third
            value += other
            value += table[name + "0"].take(row)
            return value

        column = interpolated("u").astype(np.int32) & (TILE - 1)
        line = interpolated("v").astype(np.int32) & (TILE - 1)
        texel = table["texture"].take(row)
        texel += line * TILE
        texel += column
        brightness = interpolated("light")
        brightness *= tiles().ravel().take(texel)
        brightness *= hits.hit
        return np.stack([table[name].take(row) * brightness for name in ("red", "green", "blue")])


def _raycasting_scene(mesh: Mesh) -> Any:
    import open3d as o3d

    scene = o3d.t.geometry.RaycastingScene()
    vertices = np.ascontiguousarray(mesh.corners.reshape(-1, 3))
    triangles = np.arange(len(vertices), dtype=np.uint32).reshape(-1, 3)
    scene.add_triangles(
        o3d.core.Tensor.from_numpy(vertices), o3d.core.Tensor.from_numpy(triangles)
    )
    return scene


def _look_up_tables(mesh: Mesh, light: np.ndarray) -> dict[str, np.ndarray]:
    """Return what the appearance of a hit depends on, for each triangle.

    There is one flat array for each value, because the first corner's value and the two
    differences reduce interpolation to two products a pixel.
    """
    table: dict[str, np.ndarray] = {}
    # The shift keeps texture coordinates positive, so that rounding down is a plain cast.
    texels = mesh.texture_uv / TEXEL + 64 * TILE
    for name, value in (("u", texels[..., 0]), ("v", texels[..., 1]), ("light", light)):
        table[name + "0"] = value[:, 0].astype(np.float32)
        table[name + "1"] = (value[:, 1] - value[:, 0]).astype(np.float32)
        table[name + "2"] = (value[:, 2] - value[:, 0]).astype(np.float32)
    for i, name in enumerate(("red", "green", "blue")):
        table[name] = np.ascontiguousarray(mesh.color[:, i] * (255.0 / NEUTRAL), np.float32)
    table["texture"] = mesh.texture * np.int32(TILE * TILE)
    edge = mesh.corners - mesh.corners[:, :1]
    normal = np.cross(edge[:, 1], edge[:, 2])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-20
    side = np.sign(np.einsum("ij,ij->i", normal, mesh.normals.sum(1)))
    table["normal"] = (normal * side[:, None]).astype(np.float32)
    return table

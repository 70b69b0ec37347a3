# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A simulated street or yard that rays can be cast into."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from concerto_ros.sim.library import FurnitureLibrary
from concerto_ros.sim.library.in_rooms import furnished_from
from concerto_ros.sim.scene import NOTHING
from concerto_ros.sim.streets.kinds import KINDS
from concerto_ros.sim.streets.layout import draw_terrain, furnish
from concerto_ros.sim.streets.shapes import CLASSES, Solid, join
from concerto_ros.sim.streets.site import Mover, Site


@dataclass(frozen=True, eq=False)
class Hits:
    """The first surfaces that N rays meet.

    Attributes:
        distance: (N,) float32 in lengths of the ray's direction, infinite where nothing was hit.
        label: (N,) uint8, position in :data:`~concerto_ros.sim.streets.shapes.CLASSES`, 255 where
            nothing was hit.
        color: (N, 3) uint8 RGB, without light.
        normal: (N, 3) float32 unit normal of the triangle, on either side.
        optics: (N, 3) float32: reflectance, gaps and roughness, see
            :class:`~concerto_ros.sim.streets.shapes.Paint`.
    """

    distance: np.ndarray
    label: np.ndarray
    color: np.ndarray
    normal: np.ndarray
    optics: np.ndarray


class Street:
    """A street or yard made from a seed: the same seed and kind give the same one, bit for bit.

    With a ``furniture`` library many of its vehicles, people, plants and lamps are models of it.
    It reaches about 100 m along x and y from the origin; the road runs along x. The frame is
    REP-103's: z up, the ground round the origin near z = 0, metres.

    Attributes:
        classes: names of the labels.
        seed: what it was made from.
        kind: a name in :data:`~concerto_ros.sim.streets.kinds.KINDS`.
        site: its ground and what stands on it.
        movers: what moves.
        solid: all triangles of what does not move.

    Raises:
        ValueError: the kind does not exist.
    """

    classes = CLASSES

    def __init__(
        self, seed: int = 0, kind: str = "residential", furniture: FurnitureLibrary | None = None
    ):
        if kind not in KINDS:
            raise ValueError(f"kind is {kind!r}, expected one of {', '.join(KINDS)}")
        ground, things = np.random.default_rng(seed).spawn(2)
        self.seed, self.kind = seed, kind
        self.site = Site(draw_terrain(ground, KINDS[kind]))
        with furnished_from(furniture):
            furnish(self.site, things, kind, KINDS[kind])
        self.movers = tuple(self.site.movers)
        self.solid = join([self.site.terrain.solid(), *self.site.solids])
        self._still = _Target(self.solid)
        self._moving: dict[float, _Target] = {}

    def clear_of(self, path: np.ndarray, seconds: np.ndarray) -> Street:
        """The same street without what would run into something on a path, or is run into by it.

        Args:
            path: (N, 3) where it is, metres.
            seconds: (N,) when it is there.
        """

        def apart(mover: Mover) -> bool:
            corners = mover.solid.corners.reshape(-1, 3)
            low, high = corners.min(0), corners.max(0)
            reach = np.linalg.norm(high - low) / 2 + 1.5
            middle = (low + high) / 2 + seconds[:, None] * mover.velocity
            return bool((np.linalg.norm((middle - path)[:, :2], axis=1) > reach).all())

        street = copy.copy(self)
        street.movers = tuple(mover for mover in self.movers if apart(mover))
        street._moving = {}
        return street

    def cast(self, origins: np.ndarray, directions: np.ndarray, seconds: float = 0.0) -> Hits:
        """Cast rays to the first surface.

        Args:
            origins: (N, 3) or (3,), metres.
            directions: (N, 3) of any length; distances are in multiples of it.
            seconds: the time, which what moves depends on.
        """
        hits = self._still.cast(origins, directions)
        if not self.movers:
            return hits
        if seconds not in self._moving:
            placed = [m.solid.moved(m.velocity * seconds) for m in self.movers]
            self._moving = {seconds: _Target(join(placed))}
        others = self._moving[seconds].cast(origins, directions)
        nearer = others.distance < hits.distance
        return Hits(
            *(
                np.where(nearer if a.ndim == 1 else nearer[:, None], b, a)
                for a, b in zip(vars(hits).values(), vars(others).values(), strict=True)
            )
        )


class _Target:
    """Triangles that rays are cast at."""

    def __init__(self, solid: Solid):
        import open3d as o3d

        self._solid = solid
        self._scene: Any = o3d.t.geometry.RaycastingScene()
        corners = np.ascontiguousarray(solid.corners.reshape(-1, 3))
        rows = np.arange(len(corners), dtype=np.uint32).reshape(-1, 3)
        to_tensor = o3d.core.Tensor.from_numpy
        self._scene.add_triangles(to_tensor(corners), to_tensor(rows))

    def cast(self, origins: np.ndarray, directions: np.ndarray) -> Hits:
        import open3d as o3d

        rays = np.empty((len(directions), 6), np.float32)
        rays[:, :3], rays[:, 3:] = origins, directions
        result = self._scene.cast_rays(o3d.core.Tensor.from_numpy(rays))
        distance = result["t_hit"].numpy()
        hit = np.isfinite(distance)
        row = np.where(hit, result["primitive_ids"].numpy(), 0).astype(np.int64)
        return Hits(
            distance,
            np.where(hit, self._solid.label.take(row), np.uint8(NOTHING)),
            self._solid.color.take(row, axis=0),
            result["primitive_normals"].numpy(),
            self._solid.optics.take(row, axis=0),
        )

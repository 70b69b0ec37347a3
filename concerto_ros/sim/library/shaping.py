# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From a model's own triangles to those of a simulated room: few, outward, small, one colour each.

Models are made for the eye: up to 60,000 triangles, many of them inside or facing inwards, and
pictures where a room has one colour for each triangle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from concerto_ros.sim.library.catalogue import FurnitureError
from concerto_ros.sim.library.model_files import Surface
from concerto_ros.sim.mesh import STEP

#: A model of a metre or more keeps at most this many triangles before they are cut to size;
#: smaller ones keep fewer.
MOST_TRIANGLES, LEAST_TRIANGLES = 4_000, 250
#: Surfaces with a picture are cut finer than light asks for, so that the picture stays visible.
PICTURE_STEP = 0.05
#: The steps grow until a model has about this many triangles at most: a tree, a lorry.
MOST_CUT = 7_000
#: Rays from each side of a triangle that tell which side is outside.
RAYS = 24
#: Where more than this share of the rays of both sides is free, a triangle is a sheet.
SHEET = 0.15
#: Triangles smaller than this are dropped, square metres.
LEAST_AREA = 1e-8
#: A cloud of loose leaves is thinned, not simplified: more loose parts than this, of at most this
#: many triangles each on average.
LOOSE_PARTS, LEAF_TRIANGLES = 150, 12


@dataclass(frozen=True, eq=False)
class Shape:
    """A model that is ready for a room.

    Attributes:
        corners: (T, 3, 3) float32 as of :class:`~concerto_ros.sim.library.model_files.Surface`.
        color: (T, 3) float32 in 0..1.
        part: (T,) uint8 position in ``materials``.
        materials: The names of its materials.
    """

    corners: np.ndarray
    color: np.ndarray
    part: np.ndarray
    materials: tuple[str, ...]


def shape_of(surfaces: list[Surface]) -> Shape:
    """Simplify, orient, cut and colour a model.

    Raises:
        FurnitureError: No triangle is left.
    """
    soups = [np.concatenate([s.corners, s.uv], axis=2) for s in surfaces]
    soups = [_distinct(soup[_areas(soup) > LEAST_AREA]) for soup in soups]
    extent = np.ptp(np.concatenate([s.corners.reshape(-1, 3) for s in surfaces]), axis=0)
    most = int(np.clip(MOST_TRIANGLES * np.linalg.norm(extent), LEAST_TRIANGLES, MOST_TRIANGLES))
    soups = _outward(soups)
    count = sum(map(len, soups))
    if count > most:
        soups = [_reduced(soup, most * len(soup) / count) for soup in soups]
        soups = _outward(soups)
    # A square of one step is about four of the triangles that halving leaves.
    least = np.sqrt(4 * sum(float(_areas(soup).sum()) for soup in soups) / MOST_CUT)
    corners, colors, parts = [], [], []
    for number, (surface, soup) in enumerate(zip(surfaces, soups, strict=True)):
        soup = _cut(soup, max(least, STEP if surface.picture is None else PICTURE_STEP))
        color, opaque = _colors(surface, soup[:, :, 3:].mean(1))
        corners.append(soup[opaque, :, :3])
        colors.append(color[opaque])
        parts.append(np.full(len(corners[-1]), min(number, 255), np.uint8))
    shape = Shape(
        np.concatenate(corners).astype(np.float32),
        np.concatenate(colors).astype(np.float32),
        np.concatenate(parts),
        tuple(surface.material for surface in surfaces),
    )
    if not len(shape.corners):
        raise FurnitureError("no triangle is left of the model; leave it out")
    return shape


def _areas(soup: np.ndarray) -> np.ndarray:
    """Areas (T,) of triangles (T, 3, 3 or more), square metres."""
    return np.linalg.norm(_crosses(soup), axis=1) / 2


def _crosses(soup: np.ndarray) -> np.ndarray:
    edge = soup[:, 1:, :3] - soup[:, :1, :3]
    return np.cross(edge[:, 0], edge[:, 1])


def _distinct(soup: np.ndarray) -> np.ndarray:
    """Each triangle once: many models hold every one a second time, wound the other way."""
    _, faces = _merged(soup[:, :, :3])
    _, first = np.unique(np.sort(faces, axis=1), axis=0, return_index=True)
    return soup[np.sort(first)]


def _outward(soups: list[np.ndarray]) -> list[np.ndarray]:
    """Turn each triangle's front to the side that sees more of the open; drop those inside.

    Rays to even directions from both sides tell: the windings of models do not.
    """
    soup = np.concatenate(soups)
    open_front, open_back = (_openness(soup, side) for side in (1.0, -1.0))
    turned = open_back > open_front
    # A sheet is seen from both sides; it is lit from above and from the room.
    sheet = np.minimum(open_front, open_back) > SHEET * RAYS
    turned[sheet] = (_crosses(soup[sheet]) @ (0.0, 0.5, 0.8)) < 0
    soup[turned] = soup[turned][:, ::-1]
    seen = open_front + open_back > 0
    bounds = np.cumsum([len(s) for s in soups])[:-1]
    return [
        part[keep]
        for part, keep in zip(np.split(soup, bounds), np.split(seen, bounds), strict=True)
    ]


def _openness(soup: np.ndarray, side: float) -> np.ndarray:
    """Number of rays (T,) from one side of each triangle that hit nothing of the model."""
    import open3d as o3d

    corners = np.ascontiguousarray(soup[:, :, :3], np.float32)
    scene = o3d.t.geometry.RaycastingScene(nthreads=1)
    scene.add_triangles(
        o3d.core.Tensor.from_numpy(corners.reshape(-1, 3)),
        o3d.core.Tensor.from_numpy(np.arange(3 * len(corners), dtype=np.uint32).reshape(-1, 3)),
    )
    cross = _crosses(soup)
    normal = side * cross / (np.linalg.norm(cross, axis=1, keepdims=True) + 1e-20)
    middle = corners.mean(1) + 0.0005 * normal
    height = 1 - (2 * np.arange(RAYS) + 1) / RAYS
    turn = np.arange(RAYS) * np.pi * (3 - np.sqrt(5))
    flat = np.sqrt(1 - height**2)
    free = np.zeros(len(soup), np.int32)
    rays = np.empty((len(soup), 6), np.float32)
    rays[:, :3] = middle
    for direction in np.stack([flat * np.cos(turn), flat * np.sin(turn), height], axis=1):
        rays[:, 3:] = normal + 0.95 * direction
        free += ~scene.test_occlusions(o3d.core.Tensor.from_numpy(rays), nthreads=1).numpy()
    return free


def _reduced(soup: np.ndarray, count: float) -> np.ndarray:
    """About ``count`` triangles of the same form; of a picture's place the nearest remains."""
    if len(soup) <= max(count, 12):
        return soup
    vertices, faces = _merged(soup[:, :, :3])
    loose, part = _loose_parts(len(vertices), faces)
    if loose > max(LOOSE_PARTS, len(soup) / LEAF_TRIANGLES):
        return _thinned(soup, part[faces[:, 0]], loose, count / len(soup))
    reduced = _decimated(vertices, faces, int(count))
    if not len(reduced):
        return soup
    return np.concatenate([reduced, _nearest_uv(soup, reduced)], axis=2)


def _merged(corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V, 3) and faces (T, 3) of triangles, corners within 0.1 mm being one vertex."""
    key = np.round(corners.reshape(-1, 3) * 1e4).astype(np.int64)
    _, first, row = np.unique(key, axis=0, return_index=True, return_inverse=True)
    return corners.reshape(-1, 3)[first], row.reshape(-1, 3)


def _loose_parts(vertices: int, faces: np.ndarray) -> tuple[int, np.ndarray]:
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    start, end = faces.ravel(), np.roll(faces, 1, axis=1).ravel()
    links = coo_matrix((np.ones(len(start)), (start, end)), shape=(vertices, vertices))
    return connected_components(links, directed=False)


def _thinned(soup: np.ndarray, part: np.ndarray, parts: int, share: float) -> np.ndarray:
    """Some of the loose parts, enlarged about their middles so that they hide as much together."""
    keep = np.random.default_rng(0).random(parts) < share
    if not keep.any():
        keep[0] = True
    count = np.maximum(np.bincount(part, minlength=parts), 1)
    centre = np.stack(
        [np.bincount(part, soup[:, :, i].mean(1), parts) / count for i in range(3)], axis=1
    )
    rows = keep[part]
    soup, middle = soup[rows].copy(), centre[part[rows]][:, None]
    grown = min(1 / np.sqrt(share), 2.0)
    soup[:, :, :3] = middle + grown * (soup[:, :, :3] - middle)
    return soup


def _decimated(vertices: np.ndarray, faces: np.ndarray, count: int) -> np.ndarray:
    import open3d as o3d

    mesh: Any = o3d.geometry.TriangleMesh(
        o3d.utility.Vector3dVector(vertices), o3d.utility.Vector3iVector(faces.astype(np.int32))
    )
    mesh = mesh.simplify_quadric_decimation(max(count, 12), boundary_weight=3.0)
    corners = np.asarray(mesh.vertices)[np.asarray(mesh.triangles)]
    # Where surfaces are nearly flat a corner may be thrown far away.
    near = (corners > vertices.min(0) - 0.01) & (corners < vertices.max(0) + 0.01)
    corners = corners[near.all((1, 2))]
    return corners[_areas(corners) > LEAST_AREA]


def _nearest_uv(soup: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Place in the picture (T, 3, 2) of each corner: in the old triangle nearest to the middle.

    All three corners take theirs from one old triangle, so that none spans a seam of the picture.
    """
    from scipy.spatial import cKDTree

    _, row = cKDTree(soup[:, :, :3].mean(1)).query(corners.mean(1))
    old = soup[row]
    edge = old[:, 1:, :3] - old[:, :1, :3]
    gram = np.einsum("tik,tjk->tij", edge, edge)
    gram += 1e-12 * np.eye(2)
    along = np.einsum("tik,tck->tci", edge, corners - old[:, :1, :3])
    weight = np.clip(np.linalg.solve(gram[:, None], along[..., None])[..., 0], -2.0, 3.0)
    uv = old[:, :, 3:]
    return uv[:, :1] + np.einsum("tci,tik->tck", weight, uv[:, 1:] - uv[:, :1])


def _cut(soup: np.ndarray, step: float) -> np.ndarray:
    """Halve triangles along their longest edge until none is longer than ``step``.

    Slivers, of rods and rails, may be four times as long. A neighbour is not cut along: the cut
    lies on its edge, and no gap opens.
    """
    done = []
    while len(soup):
        length = np.linalg.norm(soup[:, (1, 2, 0), :3] - soup[:, :, :3], axis=2)
        longest = length.argmax(1)
        reach = length.max(1)
        height = 2 * _areas(soup) / reach
        large = reach > step * np.clip(0.2 * step / (height + 1e-12), 1.0, 4.0)
        done.append(soup[~large])
        soup, longest = soup[large], longest[large]
        rows = np.arange(len(soup))
        a, b, c = (soup[rows, (longest + i) % 3] for i in range(3))
        middle = (a + b) / 2
        soup = np.concatenate([np.stack([a, middle, c], 1), np.stack([middle, b, c], 1)])
    return np.concatenate(done) if done else soup


def _colors(surface: Surface, uv: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Colour (T, 3) and whether it is opaque (T,), by the places (T, 2) in the picture."""
    if surface.picture is None:
        return np.broadcast_to(surface.color, (len(uv), 3)), np.ones(len(uv), bool)
    height, width = surface.picture.shape[:2]
    column = np.floor(uv[:, 0] % 1.0 * width).astype(int) % width
    row = np.floor((1 - uv[:, 1]) % 1.0 * height).astype(int) % height
    texel = surface.picture[row, column]
    return texel[:, :3], texel[:, 3] > 0.5

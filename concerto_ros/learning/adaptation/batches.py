# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From scenes to the views of a step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from concerto_ros.learning.adaptation.scenes import Scene, SceneImages
from concerto_ros.learning.pretraining.augmentation import ViewAugmentation
from concerto_ros.learning.pretraining.objective import ImageTargets
from concerto_ros.learning.pretraining.presets import Preset
from concerto_ros.learning.pretraining.student import Views
from concerto_ros.learning.pretraining.views import RandomDraws, View, crop_views
from concerto_ros.mapping.voxel_grid import pack
from concerto_ros.segmentation.convention import Convention
from concerto_ros.segmentation.model_input import normalise_points

#: Images of a scene in a step, as published.
IMAGES = 4


@dataclass(frozen=True, eq=False)
class ViewBatch:
    """The views of some scenes.

    Attributes:
        globals: For each scene the major view, then the second, whole.
        locals: The local views of each scene; None: there are none.
        images: Patches that see the voxels of the global views; None: no image does.
        low: (3,) where the grid of the global views begins, in their coordinates.
    """

    globals: Views
    locals: Views | None
    images: ImageTargets | None
    low: torch.Tensor

    def to(self, device: torch.device | str) -> ViewBatch:
        """The same on a device."""
        images = self.images
        if images is not None:
            vectors, patches = images.vectors.to(device), images.patches.to(device)
            images = replace(images, vectors=vectors, patches=patches)
        local = None if self.locals is None else self.locals.to(device)
        return ViewBatch(self.globals.to(device), local, images, self.low.to(device))


@dataclass(frozen=True, eq=False)
class _Cloud:
    """Points of a scene or view: (N, 3) each, colours 0..255; patches (N, I, 2)."""

    points: np.ndarray
    colors: np.ndarray
    normals: np.ndarray
    patches: np.ndarray

    def of(self, rows: np.ndarray) -> _Cloud:
        return _Cloud(*(value[rows] for value in vars(self).values()))


@dataclass(frozen=True)
class ViewCollate:
    """Makes the views of scenes; its ``repr`` is part of a run's identity.

    Attributes:
        convention: Scale and centre of the encoder's coordinates.
        voxel_size: Metres.
        preset: Sizes of views and what is dropped.
        grid: Rows and columns of patches of images; None: images are not used.
        augmentation: How views are moved and recoloured.
    """

    convention: Convention
    voxel_size: float
    preset: Preset
    grid: tuple[int, int] | None = None
    augmentation: ViewAugmentation = field(default_factory=ViewAugmentation)

    @property
    def edge(self) -> float:
        """Edge of a voxel in the encoder's coordinates."""
        return self.voxel_size * self.convention.scale

    def __call__(
        self, scenes: Sequence[Scene], generator: np.random.Generator | None
    ) -> ViewBatch:
        """The views of scenes. Raises ValueError without a generator: views are random."""
        if generator is None:
            raise ValueError("generator is None, expected one: views are random")
        whole: list[_Cloud] = []
        origins: list[np.ndarray] = []
        parts: list[_Cloud] = []
        part_origins: list[np.ndarray] = []
        vectors: list[torch.Tensor] = []
        counts = []
        for scene in scenes:
            cloud, images = self._sampled(scene, generator)
            seen = np.all(cloud.patches >= 0, axis=2)
            views = crop_views(
                cloud.points,
                seen if len(images) else None,
                self.preset.sizes,
                RandomDraws(generator),
            )
            cloud = replace(cloud, patches=cloud.patches[:, views.images])
            vectors += [images[int(at)] for at in views.images]
            counts.append(len(views.images))
            has_colors = scene.scan.colors is not None
            both = self._recolored(cloud, has_colors, generator)
            for view in (views.major, views.second):
                self._add(both, view, whole, origins, generator)
            for view in views.locals:
                alone = self._recolored(cloud, has_colors, generator)
                self._add(alone, view, parts, part_origins, generator)
        every, patches, low = self._views(whole, origins)
        local = self._views(parts, part_origins)[0] if parts else None
        targets = None
        if vectors and self.grid is not None:
            stacked = torch.stack(vectors).flatten(1, 2)
            targets = ImageTargets(stacked, self.grid, counts, patches)
        return ViewBatch(every, local, targets, low)

    def _sampled(
        self, scene: Scene, random: np.random.Generator
    ) -> tuple[_Cloud, list[torch.Tensor]]:
        """One random point of each voxel, some without colour or normal, and images."""
        scan = scene.scan
        index = np.floor(scan.points.astype(np.float64) / self.voxel_size)
        order = random.permutation(len(scan))
        rows = np.sort(order[np.unique(pack(index[order]), return_index=True)[1]])
        colors, normals = (
            np.zeros((len(rows), 3), np.float32)
            if value is None
            else value[rows].astype(np.float32)
            for value in (scan.colors, scan.normals)
        )
        for values in (colors, normals):
            everywhere, some = self.preset.drop_colors
            if random.random() < everywhere:
                values[:] = 0
            if random.random() < some:
                values[random.random(len(values)) < 0.2] = 0
        patches = np.zeros((len(scan), 0, 2), np.float32)
        vectors: list[torch.Tensor] = []
        if scene.images is not None and scene.images.frames and self.grid is not None:
            patches, vectors = self._imaged(scene.images, len(scan), random)
        return _Cloud(scan.points[rows], colors, normals, patches[rows]), vectors

    def _imaged(
        self, images: SceneImages, points: int, random: np.random.Generator
    ) -> tuple[np.ndarray, list[torch.Tensor]]:
        assert self.grid is not None  # as asked for by the caller
        count = min(IMAGES, len(images.frames))
        chosen = np.sort(random.choice(images.frames, count, replace=False)).tolist()
        vectors = [images.vectors(at, self.grid) for at in chosen]
        return images.places(chosen, points, self.grid), vectors

    def _recolored(self, cloud: _Cloud, has_colors: bool, random: np.random.Generator) -> _Cloud:
        """With other colours; where a sensor has none the encoder gets zeros, as in the node."""
        if not has_colors:
            return cloud
        return replace(cloud, colors=self.augmentation.colors(cloud.colors, random))

    def _add(
        self,
        cloud: _Cloud,
        view: View,
        clouds: list[_Cloud],
        origins: list[np.ndarray],
        random: np.random.Generator,
    ) -> None:
        """Add an augmented view and where its points were."""
        part = cloud.of(view.rows)
        origins.append(part.points)
        points, normals = self.augmentation.geometry(part.points, part.normals, random)
        clouds.append(replace(part, points=points, normals=normals))

    def _views(
        self, clouds: Sequence[_Cloud], origins: Sequence[np.ndarray]
    ) -> tuple[Views, torch.Tensor, torch.Tensor]:
        """The voxels of views, the first point of each; their patches; where the grid begins.

        Scenes of a batch may have different numbers of images; places in those that a scene does
        not have are -1.
        """
        values = [
            normalise_points(cloud.points, cloud.colors, cloud.normals, self.convention)
            for cloud in clouds
        ]
        low = np.min([coord.min(axis=0) for coord, _ in values], axis=0)
        most = max(cloud.patches.shape[1] for cloud in clouds)
        columns: list[list[np.ndarray]] = [[] for _ in range(5)]
        for cloud, origin, (coord, feat) in zip(clouds, origins, values, strict=True):
            cell = np.floor((coord - low) / self.edge)
            rows = np.sort(np.unique(pack(cell), return_index=True)[1])
            patches = np.full((len(rows), most, 2), -1, np.float32)
            patches[:, : cloud.patches.shape[1]] = cloud.patches[rows]
            parts = (feat[rows], cell[rows].astype(np.int64), coord[rows], origin[rows], patches)
            for column, part in zip(columns, parts, strict=True):
                column.append(part)
        feats, grids, coords, befores, places = (
            torch.from_numpy(np.concatenate(column)) for column in columns
        )
        ends = torch.tensor([len(part) for part in columns[0]]).cumsum(0)
        return Views(feats, grids, coords, befores, ends), places, torch.from_numpy(low)

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From scenes to the views of a step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from concerto_ros.learning.adaptation.scene_frames import Seen
from concerto_ros.learning.adaptation.scenes import Scene, SceneImages
from concerto_ros.learning.adaptation.view_clouds import ViewCloud, Voxels, voxels_of
from concerto_ros.learning.pretraining.augmentation import ViewAugmentation
from concerto_ros.learning.pretraining.objective import ImageTargets
from concerto_ros.learning.pretraining.presets import Preset
from concerto_ros.learning.pretraining.student import Views
from concerto_ros.learning.pretraining.views import RandomDraws, crop_views
from concerto_ros.mapping.voxel_grid import pack
from concerto_ros.segmentation.convention import Convention
from concerto_ros.segmentation.model_input import normalise_points, zero_of

#: Images of a scene in a step, as published.
IMAGES = 4

#: Share of the scenes of which the student has all frames although it mostly has few, so that it
#: stays good at whole maps.
ALL_FRAMES_SHARE = 0.2


@dataclass(frozen=True, eq=False)
class FewFrames:
    """What some frames see of views of more frames.

    Attributes:
        rows: (K,) int64, ascending: the voxels.
        feat: (K, in_channels), their input by the points and normals of these frames.
    """

    rows: torch.Tensor
    feat: torch.Tensor

    def of(self, views: Views) -> Views:
        """The same views with these voxels alone; each has at least one."""
        rows = self.rows
        ends = torch.searchsorted(rows, views.offset)
        return Views(self.feat, views.grid[rows], views.coord[rows], views.origin[rows], ends)

    def to(self, device: torch.device | str) -> FewFrames:
        """The same on a device."""
        return FewFrames(self.rows.to(device), self.feat.to(device))


@dataclass(frozen=True, eq=False)
class ViewBatch:
    """The views of some scenes.

    Attributes:
        globals: For each scene the major view, then the second, whole.
        locals: The local views of each scene; None: there are none.
        images: Patches that see the voxels of the global views; None: no image does.
        low: (3,) where the grid of the global views begins, in their coordinates.
        few: What the student has of the global views.
        hides: (B,) bool, whether points of a global view may be hidden from the student: not where
            other frames are.
    """

    globals: Views
    locals: Views | None
    images: ImageTargets | None
    low: torch.Tensor
    few: FewFrames
    hides: torch.Tensor

    def to(self, device: torch.device | str) -> ViewBatch:
        """The same on a device."""
        images = self.images
        if images is not None:
            vectors, patches = images.vectors.to(device), images.patches.to(device)
            images = replace(images, vectors=vectors, patches=patches)
        local = None if self.locals is None else self.locals.to(device)
        every, few = self.globals.to(device), self.few.to(device)
        hides = self.hides.to(device)
        return ViewBatch(every, local, images, self.low.to(device), few, hides)


@dataclass(frozen=True)
class ViewCollate:
    """Makes the views of scenes; its ``repr`` is part of a run's identity.

    Attributes:
        convention: Scale and centre of the encoder's coordinates.
        voxel_size: Metres.
        preset: Sizes of views and what is dropped.
        grid: Rows and columns of patches of images; None: images are not used.
    """

    convention: Convention
    voxel_size: float
    preset: Preset
    grid: tuple[int, int] | None = None

    @property
    def augmentation(self) -> ViewAugmentation:
        """How views are moved and recoloured."""
        return ViewAugmentation(self.preset.elastic)

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
        whole: list[ViewCloud] = []
        parts: list[ViewCloud] = []
        vectors: list[torch.Tensor] = []
        counts = []
        for scene in scenes:
            cloud, images = self._sampled(scene, generator)
            firsts = cloud.firsts()
            in_image = np.all(cloud.patches[firsts] >= 0, axis=2)
            views = crop_views(
                cloud.points[firsts],
                in_image if len(images) else None,
                self.preset.sizes,
                RandomDraws(generator),
            )
            cloud = replace(cloud, patches=cloud.patches[:, views.images])
            vectors += [images[int(at)] for at in views.images]
            counts.append(len(views.images))
            has_colors = scene.scan.colors is not None
            both = self._recolored(cloud, has_colors, generator)
            for view in (views.major, views.second):
                whole.append(self._moved(both.within(firsts[view.rows]), generator))
            for view in views.locals:
                alone = self._recolored(cloud, has_colors, generator)
                part = alone.within(firsts[view.rows])
                part = part.of(np.flatnonzero(part.seen))
                parts.append(self._moved(part, generator))
        every, patches, few, low = self._views(whole)
        local = None
        if parts:
            local, _, few_of_local, _ = self._views(parts)
            local = few_of_local.of(local)
        targets = None
        if vectors and self.grid is not None:
            stacked = torch.stack(vectors).flatten(1, 2)
            targets = ImageTargets(stacked, self.grid, counts, patches)
        whole_frames = [
            scene.frames is None or self.preset.student_frames is None for scene in scenes
        ]
        hides = torch.tensor(whole_frames).repeat_interleave(2)
        return ViewBatch(every, local, targets, low, few, hides)

    def _sampled(
        self, scene: Scene, random: np.random.Generator
    ) -> tuple[ViewCloud, list[torch.Tensor]]:
        """The points of a scene, some without colour or normal, and its images.

        They are one random point of each voxel, or all of them where voxels are means.
        """
        scan = scene.scan
        index = np.floor(scan.points.astype(np.float64) / self.voxel_size)
        own = self._seen_by_student(scene, random)
        mask = np.full(len(scan), own is None)
        if own is not None:
            mask[own.rows] = True
        order = random.permutation(len(scan))
        if own is not None:  # points that the student has come before others of their voxel
            order = np.concatenate([order[mask[order]], order[~mask[order]]])
        _, first, inverse = np.unique(pack(index[order]), return_index=True, return_inverse=True)
        first, voxel = order[first], np.empty(len(scan), np.int64)
        voxel[order] = inverse
        inside = ~self._strays(scan.points[first], index[first])
        rows = np.sort(first[inside])
        if self.preset.voxel_means:
            rows = np.flatnonzero(inside[voxel])
        colors = np.zeros((len(rows), 3), np.float32)
        normals = np.zeros((len(rows), 2, 3), np.float32)
        if scan.colors is not None:
            colors[:] = scan.colors[rows]
        if scan.normals is not None:
            normals[:] = scan.normals[rows, None]
            if own is not None:
                of_student = scan.normals.copy()
                of_student[own.rows] = own.normals
                normals[:, 1] = of_student[rows]
        for values in (colors, normals):
            everywhere, some = self.preset.drop_colors
            if random.random() < everywhere:
                values[:] = 0
            if random.random() < some:
                values[(random.random(len(first)) < 0.2)[voxel[rows]]] = 0
        patches = np.zeros((len(scan), 0, 2), np.float32)
        images: list[torch.Tensor] = []
        if scene.images is not None and scene.images.frames and self.grid is not None:
            patches, images = self._imaged(scene.images, len(scan), random)
        points = scan.points[rows]
        cloud = ViewCloud(points, points, colors, normals, patches[rows], mask[rows], voxel[rows])
        return cloud, images

    def _strays(self, points: np.ndarray, index: np.ndarray) -> np.ndarray:
        """(V,) bool, voxels alone below the floor, which the encoder never sees in use."""
        zero = zero_of(points, index, self.voxel_size, self.convention, np.zeros(3))
        return zero.strays

    def _seen_by_student(self, scene: Scene, random: np.random.Generator) -> Seen | None:
        """The points of some consecutive frames; None: the student has all of them."""
        most = self.preset.student_frames
        if most is None or scene.frames is None or random.random() < ALL_FRAMES_SHARE:
            return None
        count = min(int(random.integers(1, most + 1)), len(scene.frames))
        first = int(random.integers(len(scene.frames) - count + 1))
        part = scene.frames.seen(scene.scan, range(first, first + count), self.voxel_size)
        return part if len(part.rows) else None

    def _imaged(
        self, images: SceneImages, points: int, random: np.random.Generator
    ) -> tuple[np.ndarray, list[torch.Tensor]]:
        assert self.grid is not None  # as asked for by the caller
        count = min(IMAGES, len(images.frames))
        chosen = np.sort(random.choice(images.frames, count, replace=False)).tolist()
        vectors = [images.vectors(at, self.grid) for at in chosen]
        return images.places(chosen, points, self.grid), vectors

    def _recolored(
        self, cloud: ViewCloud, has_colors: bool, random: np.random.Generator
    ) -> ViewCloud:
        """With other colours; where a sensor has none the encoder gets zeros, as in the node."""
        if not has_colors:
            return cloud
        return replace(cloud, colors=self.augmentation.colors(cloud.colors, random))

    def _moved(self, part: ViewCloud, random: np.random.Generator) -> ViewCloud:
        points, normals = self.augmentation.geometry(part.points, part.normals, random)
        return replace(part, points=points, normals=normals)

    def _views(
        self, clouds: Sequence[ViewCloud]
    ) -> tuple[Views, torch.Tensor, FewFrames, torch.Tensor]:
        """The voxels of views.

        Scenes of a batch may have different numbers of images; places in those that a scene does
        not have are -1.

        Returns:
            The views, where images see them, what the student's frames see of them, and where
            the grid begins.
        """
        values = [
            normalise_points(cloud.points, cloud.colors, cloud.normals[:, 0], self.convention)
            for cloud in clouds
        ]
        low = np.min([coord.min(axis=0) for coord, _ in values], axis=0)
        most = max(cloud.patches.shape[1] for cloud in clouds)
        views = []
        for cloud, (coord, feat) in zip(clouds, values, strict=True):
            patches = np.full((len(coord), most, 2), -1, np.float32)
            patches[:, : cloud.patches.shape[1]] = cloud.patches
            cell = np.floor((coord - low) / self.edge)
            padded = replace(cloud, patches=patches)
            views.append(voxels_of(padded, coord, feat, cell, self.preset.voxel_means))
        every = Voxels(*(np.concatenate(column) for column in zip(*views, strict=True)))
        column_of = {name: torch.from_numpy(value) for name, value in every._asdict().items()}
        ends = torch.tensor([len(view.feat) for view in views]).cumsum(0)
        chosen = column_of["seen"].nonzero()[:, 0]
        few = FewFrames(chosen, column_of["own"][chosen])
        views_of = {name: column_of[name] for name in ("feat", "grid", "coord", "origin")}
        whole = Views(**views_of, offset=ends)
        return whole, column_of["patches"], few, torch.from_numpy(low)

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Opening of recordings without labels: posed images, LiDAR alone, or files of clouds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from concerto_ros.bags.storage.recording_files import is_bag
from concerto_ros.files.digest import digest
from concerto_ros.files.listing import visible
from concerto_ros.learning.adaptation.bag_scenes import BagScenes, unlabelled_scan
from concerto_ros.learning.adaptation.data_options import DataOptions
from concerto_ros.learning.adaptation.scenes import (
    ImagedScenes,
    JoinedScenes,
    KeptScenes,
    ScanScenes,
    SceneImages,
)
from concerto_ros.learning.data.batch import with_normals
from concerto_ros.learning.data.formats import layout_of, open_dataset
from concerto_ros.learning.data.formats.scan_folder import scan_files
from concerto_ros.learning.data.label_map import DataError
from concerto_ros.learning.data.labelled_scan import Scan, Scans
from concerto_ros.learning.data.lazy_sequence import LazySequence
from concerto_ros.learning.data.posed.opening import open_pixel_features, open_scenes
from concerto_ros.learning.data.posed.pixel_features import PixelFeatures
from concerto_ros.learning.data.posed.point_map import PointMap, point_map
from concerto_ros.learning.data.posed.pointcept_splits import (
    PointceptMap,
    read_split,
    split_files,
    write_split,
)
from concerto_ros.posed.scene import PosedScene
from concerto_ros.sensors.cloud_files import read_cloud
from concerto_ros.sensors.input_error import InputError

#: Points along an edge of a voxel of the encoder, in maps of posed images.
POINTS_PER_EDGE = 2


def open_recordings(
    paths: Sequence[Path],
    options: DataOptions,
    *,
    pixel_features: str | None = None,
    clouds_only: bool = False,
    device: torch.device | str = "cpu",
) -> JoinedScenes:
    """The scenes of all paths; those with images where there are any.

    Args:
        paths: Bags, folders of posed RGB-D images, samples of Pointcept's layout, or clouds.
        options: How they become scenes.
        pixel_features: What the images show, as ``open_pixel_features`` takes it; None: images are
            not used.
        clouds_only: Whether the images of bags are left out.
        device: Where a model of images runs.

    Raises:
        DataError: There is nothing to learn from at a path; names it.
        ValueError: There are features of images, but no images.
    """
    splits = {path for path in paths if split_files(path)}
    posed = {
        path: ([], "") if clouds_only or path in splits else posed_scenes(path, options)
        for path in paths
    }
    count = sum(len(found) for found, _ in posed.values())
    if pixel_features and not count and not splits:
        raise ValueError(
            "--pixel-features: none of the recordings has posed images, expected bags with colour"
            " and depth or folders of color/, depth/, pose/ and intrinsic/"
        )
    pixels = None
    if pixel_features is not None:
        alone = count == 1 and not splits
        pixels = open_pixel_features(pixel_features, alone=alone, device=device)
    parts: list[KeptScenes | ImagedScenes] = [
        sample_scenes(path, pixels, options)
        if path in splits
        else imaged_scenes(found, pixels, options)
        if found
        else cloud_scenes(path, options, why)
        for path, (found, why) in posed.items()
    ]
    return JoinedScenes(parts)


def posed_scenes(path: Path, options: DataOptions) -> tuple[list[PosedScene], str]:
    """The posed images at a path, and why there are none.

    Raises:
        DataError: There is nothing at the path.
    """
    try:
        found = open_scenes(path, preset=options.preset, map_frame=options.map_frame)
    except DataError as error:
        if not path.exists():
            raise
        return [], str(error)
    return found, ""


def imaged_scenes(
    posed: Sequence[PosedScene], pixels: PixelFeatures | None, options: DataOptions
) -> ImagedScenes:
    """Point maps of posed images, with the vectors of their patches where there are any.

    With the option ``write_split`` the maps are also written as samples of Pointcept's layout.
    """
    maps = [
        point_map(
            scene,
            options.folder / "maps",
            options.voxel_size / POINTS_PER_EDGE,
            max_frames=options.max_frames,
            progress=options.progress,
        )
        for scene in posed
    ]
    readers = [_Reader(scene) for scene in posed]
    if options.write_split:
        write_split(options.folder / "maps", maps, readers, "train")
    return _with_images(maps, readers, pixels, options)


def sample_scenes(path: Path, pixels: PixelFeatures | None, options: DataOptions) -> ImagedScenes:
    """The samples of Pointcept's layout at a path, of its training split if there is one."""
    files = split_files(path)
    file = next((each for each in files if each.stem == "train"), files[0])
    maps = read_split(file)
    return _with_images(maps, [found.image for found in maps], pixels, options)


def _with_images(
    maps: Sequence[PointMap | PointceptMap],
    readers: Sequence[Callable[[str], np.ndarray]],
    pixels: PixelFeatures | None,
    options: DataOptions,
) -> ImagedScenes:
    if pixels is None:
        return ImagedScenes(maps, None)
    images = [
        SceneImages(found, pixels, read, options.patches, options.folder / "patches")
        for found, read in zip(maps, readers, strict=True)
    ]
    if not any(each.frames for each in images):
        names = ", ".join(
            f"{found.name}/{name}.npy" for found in maps[:3] for name in found.frames[:1]
        )
        raise DataError(f"none of the images has a feature image, expected files such as {names}")
    return ImagedScenes(maps, images)


def cloud_scenes(path: Path, options: DataOptions, not_posed: str = "") -> KeptScenes:
    """Clouds without images: of bags, of files, or of labelled data sets.

    Args:
        path: Where they are.
        options: How they become scenes.
        not_posed: Why there are no posed images either, for the message.

    Raises:
        DataError: There are none; names the path.
    """
    try:
        return _clouds(path, options)
    except DataError as error:
        raise DataError(
            f"{error}. No posed images either: {not_posed}" if not_posed else str(error)
        ) from None


def _clouds(path: Path, options: DataOptions) -> KeptScenes:
    bags = [path] if is_bag(path) else []
    if path.is_dir() and not bags:
        bags = [below for below in visible(path.iterdir(), path) if is_bag(below)]
    if bags:
        return BagScenes(bags, options)
    scans: Scans
    if path.is_dir() and layout_of(path) in ("pointcept", "semantickitti"):
        scans = open_dataset(path, split="all", accumulate=options.frames_per_scan)
        clouds = digest([str(scans.identity())])
    else:
        scans = CloudFiles(scan_files(path))
        clouds = digest(scans.names)
    if not len(scans):
        raise DataError(f"{path}: has no clouds, expected bags or files of clouds")
    own = options.identity() | {"clouds": clouds}
    if not options.fitted_normals:
        return ScanScenes(scans, own)
    return ScanScenes(_WithNormals(scans, options.voxel_size), own)


class CloudFiles(LazySequence[Scan]):
    """Files of clouds, one scan each.

    Args:
        files: Their paths.
    """

    def __init__(self, files: Sequence[Path]):
        self._files = files

    @property
    def names(self) -> list[str]:
        """Names, sizes and times of the files."""
        status = [(path, path.stat()) for path in self._files]
        return [f"{path.name} {each.st_size} {each.st_mtime_ns}" for path, each in status]

    def __len__(self) -> int:
        return len(self._files)

    def read_item(self, index: int) -> Scan:
        """The scan of a file. Raises DataError naming it."""
        try:
            frame = read_cloud(self._files[index])
        except InputError as error:
            raise DataError(str(error)) from None
        return unlabelled_scan(self._files[index].name, [frame], np.zeros(3, np.float32))


class _Reader:
    """Reads an image of a scene by its name."""

    def __init__(self, scene: PosedScene):
        self._scene = scene

    def __call__(self, name: str) -> np.ndarray:
        return self._scene.read(list(self._scene.frames).index(name)).image


class _WithNormals(LazySequence[Scan]):
    """Scans with normals; fitted ones face the origin."""

    def __init__(self, scans: Scans, voxel_size: float):
        self._scans, self._voxel_size = scans, voxel_size

    def __len__(self) -> int:
        return len(self._scans)

    def read_item(self, index: int) -> Scan:
        return with_normals(self._scans[index], self._voxel_size, np.zeros(3))

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Opening of videos and folders of images with their depth and poses, whatever files hold them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from concerto_ros.files.data_error import DataError
from concerto_ros.files.listing import visible
from concerto_ros.posed import color_images, depth_images, video_file
from concerto_ros.posed.color_images import ColorImages, ImageFolder
from concerto_ros.posed.depth_images import MILLIMETRE, DepthFolder
from concerto_ros.posed.formats import intrinsics_file
from concerto_ros.posed.formats.colmap_files import is_colmap, read_colmap
from concerto_ros.posed.formats.colmap_scene import colmap_images
from concerto_ros.posed.formats.scannet_folder import FolderScene, is_scene
from concerto_ros.posed.formats.tum_files import TRAJECTORIES, UNIT, tum_images
from concerto_ros.posed.geometry import geometry_views, read_geometry
from concerto_ros.posed.matrices import pinhole_matrix
from concerto_ros.posed.posed_images import NO_SCALE, PosedImages
from concerto_ros.posed.predicted import predicted_scene
from concerto_ros.posed.scene import PosedScene
from concerto_ros.posed.video_file import VideoFile
from concerto_ros.posed.views import Intrinsics, ViewScene
from concerto_ros.settings.presets import Preset

if TYPE_CHECKING:
    from concerto_ros.posed.depth_models.depth_model import DepthModel

#: Folders of colour images, of depth images and of a COLMAP model, below that of a scene.
COLORS = ("images", "rgb", "color")
DEPTHS = ("depth", "depths", "depth_maps", "stereo/depth_maps")
MODELS = (".", "dense/sparse", "sparse/0", "sparse", "colmap", "colmap/sparse/0")

#: Arrays that a model's program wrote, likewise.
ARRAYS = ("predictions.npz", "exports/npz/results.npz", "exports/mini_npz/results.npz")

EXPECTED = (
    "a .npz of Depth Anything 3 or VGGT, a COLMAP model (sparse/0), a trajectory of TUM's format"
    " (groundtruth.txt), or folders color, depth, pose and intrinsic as ScanNet's, in or beside"
    " it; Sources.geometry says where; or a depth model"
)

#: What has no meaning for each kind of files, which say it themselves or have nothing of it; and
#: for a depth model beside poses of files, or alone.
MEANINGLESS = {
    "scannet": ("intrinsics", "depth", "scale", "fps", "least_confident"),
    "arrays": ("intrinsics", "depth"),
    "colmap": ("intrinsics",),
    "poses": ("least_confident",),
    "model": ("depth", "depth_unit"),
    "model alone": ("depth", "depth_unit", "intrinsics"),
}

#: Images of which some can be chosen: scenes, videos and folders.
Content = TypeVar("Content", FolderScene, VideoFile, ImageFolder)


@dataclass(frozen=True)
class Sources:
    """Where depth and poses of colour images are, and what files do not say themselves.

    Errors name its fields, such as ``Sources.scale``.

    Attributes:
        geometry: A .npz, a folder of a COLMAP model, or a trajectory; None: in or beside the
            images.
        depth: The folder of depth images; None: likewise.
        intrinsics: A file, or fx, fy, cx and cy in pixels; None: likewise.
        depth_unit: Metres of a unit of depth; None: by its format.
        scale: Metres of a unit of the poses, and of depth that is in the same unit; None: by their
            format.
        every: Of the colour images only each so many-th.
        fps: Of a video only about so many frames a second; None: all.
        least_confident: Percent of the pixels of predicted depth that are left out, the least
            confident.
    """

    geometry: Path | None = None
    depth: Path | None = None
    intrinsics: Path | tuple[float, ...] | None = None
    depth_unit: float | None = None
    scale: float | None = None
    every: int = 1
    fps: float | None = None
    least_confident: float = 0.0

    def __post_init__(self) -> None:
        for name in ("scale", "fps", "depth_unit"):
            value = getattr(self, name)
            if value is not None and not 0 < value < np.inf:
                raise DataError(f"Sources.{name}: got {value:g}, expected a number above 0")
        if self.every < 1:
            raise DataError(f"Sources.every: got {self.every}, expected 1 or more")
        if not 0 <= self.least_confident < 100:
            raise DataError(
                f"Sources.least_confident: got {self.least_confident:g}, expected a percentage, 0"
                " to 99"
            )
        for name in ("geometry", "depth"):
            path = getattr(self, name)
            if path is not None and not path.exists():
                raise DataError(f"Sources.{name}: {path} does not exist")

    def refuse(self, kind: str, where: Path) -> None:
        """Refuse what has no meaning for a kind of files. Raises DataError naming the field."""
        for name in MEANINGLESS[kind]:
            if getattr(self, name) != getattr(Sources, name):
                raise DataError(f"Sources.{name}: has no meaning with {where}, expected none")


def open_posed(
    source: Path, sources: Sources, preset: Preset, model: DepthModel | None = None
) -> PosedScene:
    """Open a video, or a folder of images, with depth and poses; images are read later.

    Args:
        source: A video, a folder of images, or a folder that holds both images and geometry.
        sources: Where depth and poses are.
        preset: Range limits of the sensor.
        model: Predicts the depth, and the poses where no file has them; None: files have both.

    Raises:
        DataError: What is needed is not there, or contradicts itself; names file and field.
    """
    source = Path(os.path.abspath(source))  # "." has no name
    if not source.exists():
        raise DataError(f"{source}: the file or folder does not exist")
    name = source.stem if source.is_file() else source.name
    root = source.with_suffix("") if source.is_file() else source
    if sources.geometry is None and model is None and is_scene(root) and (root / "pose").is_dir():
        sources.refuse("scannet", root)
        unit = sources.depth_unit or MILLIMETRE
        scene = FolderScene(root, name, preset, unit)
        return _each(scene, len(scene.frames), sources.every)
    geometry = sources.geometry or _find_geometry(root, source, model is not None)
    if geometry is not None and geometry.suffix == ".npz":
        if model is not None:
            raise DataError(
                f"depth model {model.name}: got it beside {geometry}, which holds depth; expected"
                " either"
            )
        return _arrays(source, geometry, sources, preset, name)
    images = _images(_folder_of_images(source, geometry), sources)
    if geometry is None:
        assert model is not None  # else there is no geometry, which was said
        sources.refuse("model alone", source)
        return _predicted(model, images, None, sources, preset, name)
    posed, depth = _posed(source, geometry, images, sources, model)
    if model is not None:
        return _predicted(model, images, posed, sources, preset, name)
    assert depth is not None
    views = posed.views(depth)
    return ViewScene(name, views, preset, posed.skipped, z_up=posed.z_up)


def _predicted(
    model: DepthModel,
    images: ColorImages,
    posed: PosedImages | None,
    sources: Sources,
    preset: Preset,
    name: str,
) -> ViewScene:
    return predicted_scene(
        model,
        images,
        posed,
        preset,
        name,
        scale=sources.scale,
        least_confident=sources.least_confident,
    )


def _each(content: Content, count: int, step: int) -> Content:
    """Only each ``step``-th of ``count`` images."""
    return content.thinned(range(0, count, step)) if step > 1 else content


def _places(source: Path) -> list[Path]:
    """Folders that may hold the geometry of a source, the nearest first."""
    if source.is_file():
        return [source.with_suffix("")]
    return [source, source.parent] if source.name in COLORS or _has_images(source) else [source]


def _has_images(folder: Path) -> bool:
    endings = color_images.ENDINGS
    return any(path.suffix.lower() in endings for path in folder.iterdir() if path.is_file())


def _find_geometry(root: Path, source: Path, optional: bool) -> Path | None:
    """Return the .npz, the COLMAP model or the trajectory of a source.

    Raises:
        DataError: There is none, unless it is ``optional``, or there are several.
    """
    beside = (root.with_name(f"{root.name}{ending}") for ending in (".npz", ".txt"))
    found = [path for path in beside if path.is_file()]
    for place in _places(source) if not found else ():
        found += [place / name for name in ARRAYS if (place / name).is_file()][:1]
        if place.is_dir():
            own = visible(place.glob("*.npz"), place)
            found += [path for path in own if path not in found]
        found += [place / name for name in MODELS if is_colmap(place / name)][:1]
        found += [place / name for name in TRAJECTORIES if (place / name).is_file()][:1]
        if found:
            break
    if len(found) > 1:
        several = ", ".join(str(path) for path in found)
        raise DataError(
            f"{source}: depth and poses are in {several}: Sources.geometry says in which"
        )
    if not found and not optional:
        raise DataError(f"{source}: no depth and poses found, expected {EXPECTED}")
    return found[0] if found else None


def _folder_of_images(source: Path, geometry: Path | None) -> Path:
    """Return where the images of a COLMAP model are: those of its dense model are undistorted."""
    if geometry is None or not geometry.is_dir() or source.is_file() or _has_images(source):
        return source
    places = (geometry, *geometry.parents[:2])
    return next((place for place in places if (place / COLORS[0]).is_dir()), source)


def _images(source: Path, sources: Sources) -> ColorImages:
    if source.is_file():
        if source.suffix.lower() not in video_file.ENDINGS:
            known = ", ".join(video_file.ENDINGS)
            raise DataError(f"{source}: expected a video ({known}) or a folder of images")
        video = VideoFile(source)
        step = sources.every
        if sources.fps is not None:
            if not video.fps:
                raise DataError(
                    f"Sources.fps: {source} does not say its frame rate, expected Sources.every"
                )
            step *= max(1, round(min(video.fps / sources.fps, len(video.names))))
        return _each(video, len(video.names), step)
    if sources.fps is not None:
        raise DataError("Sources.fps: got it with a folder of images, expected Sources.every")
    folders = [source / name for name in COLORS if (source / name).is_dir()]
    folder = ImageFolder(folders[0] if folders else source)
    return _each(folder, len(folder.names), sources.every)


def _arrays(source: Path, path: Path, sources: Sources, preset: Preset, name: str) -> ViewScene:
    sources.refuse("arrays", path)
    geometry = read_geometry(path)
    if sources.scale is None:
        raise DataError(f"{path}: scale: {NO_SCALE}")
    images = None
    if geometry.images is None:
        images = _images(source, sources)
    elif sources.every != 1 or sources.fps is not None:
        raise DataError(
            f"Sources.every, Sources.fps: got one with {path}, whose own images are all taken"
        )
    views, skipped = geometry_views(
        geometry,
        images,
        sources.scale,
        str(path),
        sources.least_confident,
        (path,),
        depth_unit=sources.depth_unit,
    )
    return ViewScene(name, views, preset, skipped, z_up=False)


def _posed(
    source: Path,
    geometry: Path,
    images: ColorImages,
    sources: Sources,
    model: DepthModel | None,
) -> tuple[PosedImages, DepthFolder | None]:
    """Return the images with poses of a COLMAP model or a trajectory, and their depth images."""
    sources.refuse("model" if model else "poses", geometry)
    if geometry.is_dir():
        sources.refuse("colmap", geometry)
        folder = next((geometry / name for name in MODELS if is_colmap(geometry / name)), None)
        if folder is None:
            raise DataError(
                f"{geometry}: got a folder without a COLMAP model, expected {EXPECTED}"
            )
        places = [geometry, *geometry.parents[:2], *_places(source)]
        depth = None if model else _depth(places, sources, sources.depth_unit)
        return colmap_images(read_colmap(folder), images, depth, sources.scale), depth
    intrinsics, said = _intrinsics(_places(source) + [geometry.parent], sources)
    unit = sources.depth_unit or said or UNIT
    depth = None if model else _depth([geometry.parent, *_places(source)], sources, unit)
    scale = sources.scale or 1.0
    return tum_images(geometry, images, depth, intrinsics, scale), depth


def _depth(places: Sequence[Path], sources: Sources, unit: float | None) -> DepthFolder:
    if sources.depth is not None:
        return DepthFolder(sources.depth, unit)
    for place in places:
        for name in DEPTHS:
            if (place / name).is_dir():
                return DepthFolder(place / name, unit)
    looked = ", ".join(dict.fromkeys(str(place) for place in places))
    raise DataError(
        f"no folder of depth images in {looked} ({', '.join(DEPTHS)}), expected one, with files"
        f" {', '.join(depth_images.ENDINGS)} by the names of the colour images: Sources.depth"
        " says in which folder; or a depth model"
    )


def _intrinsics(places: Sequence[Path], sources: Sources) -> tuple[Intrinsics, float | None]:
    given = sources.intrinsics
    if isinstance(given, tuple):
        if len(given) != 4 or not np.isfinite(given).all() or min(given[:2]) <= 0:
            raise DataError(
                f"Sources.intrinsics: got {given}, expected fx fy cx cy in pixels, or a file"
            )
        return Intrinsics(pinhole_matrix(*given), "Sources.intrinsics"), None
    if given is not None:
        return intrinsics_file.read_intrinsics(given)
    for place in places:
        for name in intrinsics_file.NAMES:
            if (place / name).is_file():
                return intrinsics_file.read_intrinsics(place / name)
    names = ", ".join(intrinsics_file.NAMES)
    raise DataError(
        f"no intrinsics in {places[0]} ({names}), expected Sources.intrinsics with fx fy cx"
        f" cy in pixels, or with a file: {intrinsics_file.CONTENT}"
    )

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Posed RGB-D images in folders like those that ScanNet's own tool exports.

A scene is a folder with ``color/N.jpg`` (or .png), ``depth/N.png`` (16 bit, millimetres),
``pose/N.txt`` (4x4, camera to world, z up) and ``intrinsic/*.txt`` (3x3 or 4x4); a data set is a
folder of scenes.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from concerto_ros.files.data_error import DataError
from concerto_ros.files.digest import digest
from concerto_ros.files.listing import visible
from concerto_ros.posed.as_messages import camera_info, depth_message, file_message, header_of
from concerto_ros.posed.depth_images import MILLIMETRE
from concerto_ros.posed.matrices import (
    ROTATION_ERROR,
    by,
    check_principal_point,
    finite_intrinsics,
    read_matrix,
    rigid,
)
from concerto_ros.posed.scene import PosedFrame, PosedScene, UnusableFrame
from concerto_ros.sensors.camera_model import CameraModel
from concerto_ros.sensors.images import decode_color, decode_depth
from concerto_ros.sensors.images.depth_frame import depth_frame
from concerto_ros.sensors.images.files import read_file
from concerto_ros.sensors.input_error import InputError
from concerto_ros.settings.presets import Preset

COLOR_ENDINGS = (".jpg", ".jpeg", ".png")

#: What a scene has to hold, for messages.
LAYOUT = "color/N.jpg or .png, depth/N.png, pose/N.txt and intrinsic/*.txt"


class FolderScene(PosedScene):
    """The frames of one folder.

    Args:
        folder: The scene's folder.
        name: Name of the scene.
        preset: Range limits of the sensor.
        depth_unit: Metres of a unit of the depth images.

    Raises:
        DataError: The folder has no frame with depth and pose, or no matrix of intrinsics.
    """

    def __init__(self, folder: Path, name: str, preset: Preset, depth_unit: float = MILLIMETRE):
        if not 0 < depth_unit < np.inf:
            raise ValueError(f"depth_unit is {depth_unit}, expected metres above 0")
        self.folder, self.name = folder, name
        self.preset, self.depth_unit = preset, depth_unit
        self.skipped: Counter[str] = Counter()
        self._images = {path.stem: path for path in _color_files(folder)}
        self._poses: dict[str, np.ndarray] = {}
        for stem in sorted(self._images, key=_in_order):
            self._add(stem)
        self.frames: Sequence[str] = tuple(self._poses)
        if not self.frames:
            missing = ", ".join(f"{reason} {count}" for reason, count in self.skipped.items())
            raise DataError(
                f"{folder}: none of {len(self._images)} colour images has a depth image and a"
                f" finite pose of its name ({missing}), expected {LAYOUT}"
            )
        self._intrinsics = _intrinsics(folder)
        self._sizes: dict[str, tuple[tuple[int, ...], Path]] = {}

    def thinned(self, indices: Sequence[int]) -> FolderScene:
        """The scene with only these frames."""
        chosen = copy.copy(self)
        chosen.frames = tuple(self.frames[index] for index in indices)
        return chosen

    def identity(self) -> dict[str, Any]:
        """Names, sizes and times of the files, and how depth is read."""
        files = []
        for stem in self.frames:
            for path in (self._images[stem], self._depth_file(stem)):
                status = path.stat()
                files.append(f"{path.name} {status.st_size} {status.st_mtime_ns}")
        poses = np.array([self._poses[stem] for stem in self.frames])
        matrices = [matrix for matrix, _ in self._intrinsics.values()]
        return {
            "frames": digest([*files, poses, *matrices]),
            "depth unit": self.depth_unit,
            "sensor ranges": [self.preset.min_range, self.preset.max_range],
        }

    def read(self, index: int) -> PosedFrame:
        """Read a frame; see :meth:`PosedScene.read`."""
        stem = self.frames[index]
        paths = {"color": self._images[stem], "depth": self._depth_file(stem)}
        header = header_of(index)
        try:
            color = file_message(paths["color"], header)
            image = decode_color(color)
            depth = file_message(paths["depth"], header)
            metres = decode_depth(depth) if self.depth_unit == MILLIMETRE else self._metres(depth)
        except InputError as error:
            raise UnusableFrame(f"{paths['color'].parent.parent}: frame {stem}: {error}") from None
        self._check_size("color", image.shape[:2], paths["color"])
        self._check_size("depth", metres.shape, paths["depth"])
        infos = {
            what: self._info(what, self._sizes[what][0], paths[what])
            for what in ("color", "depth")
        }
        try:
            frame = depth_frame(
                color,
                depth_message(metres, header),
                infos["color"],
                depth_info=infos["depth"],
                min_range=self.preset.min_range,
                max_range=self.preset.max_range,
            )
            camera = CameraModel.from_info(infos["color"])
        except InputError as error:
            if error.reason == "empty":
                raise UnusableFrame(f"{paths['depth']}: {error}") from None
            raise DataError(f"{self._intrinsics['color'][1]}: {error}") from None
        pose = self._poses[stem]
        placed = frame.transformed(pose[:3, :3], pose[:3, 3], "scene")
        return PosedFrame(stem, placed, image, camera)

    def _add(self, stem: str) -> None:
        """Take a frame into the scene, or count why not."""
        pose_file = self.folder / "pose" / f"{stem}.txt"
        if not self._depth_file(stem).is_file():
            self.skipped["no_depth"] += 1
        elif not pose_file.is_file():
            self.skipped["no_pose"] += 1
        else:
            pose = read_matrix(pose_file, "pose", ((4, 4),))
            if np.isfinite(pose).all():
                self._poses[stem] = rigid(pose, pose_file)
            else:
                self.skipped["lost_pose"] += 1

    def _depth_file(self, stem: str) -> Path:
        return self.folder / "depth" / f"{stem}.png"

    def _metres(self, message: SimpleNamespace) -> np.ndarray:
        """Decode a depth image of another unit than millimetres."""
        pixels = read_file(np.frombuffer(message.data, np.uint8), "png", unchanged=True)
        if pixels.ndim != 2 or pixels.dtype != np.uint16:
            got = f"{pixels.dtype.name} of shape {pixels.shape}"
            raise InputError("malformed", f"depth file: got {got}, expected one channel of 16 bit")
        return decode_depth(depth_message(pixels * np.float32(self.depth_unit), message.header))

    def _check_size(self, what: str, size: tuple[int, ...], path: Path) -> None:
        """Check that all images of a kind have the size of the first."""
        first, where = self._sizes.setdefault(what, (size, path))
        if size != first:
            raise DataError(
                f"{path}: {by(size)} pixels, expected {by(first)} as in {where.name}: the"
                " intrinsics are those of one size"
            )

    def _info(self, what: str, size: tuple[int, ...], path: Path) -> SimpleNamespace:
        """The camera_info of the images of a kind."""
        matrix, file = self._intrinsics[what]
        if what == "depth" and file == self._intrinsics["color"][1]:
            color = self._sizes["color"][0]
            if size != color:
                raise DataError(
                    f"{path}: {by(size)} pixels and colour {by(color)}, but {file.name} is the"
                    " only matrix of intrinsics: expected intrinsic/intrinsic_color.txt and"
                    " intrinsic/intrinsic_depth.txt, or images of one size"
                )
        check_principal_point(matrix, size, file, what)
        return camera_info(matrix, size)


def is_scene(folder: Path) -> bool:
    """Whether a folder has the folders ``color`` and ``depth`` of a scene."""
    return (folder / "color").is_dir() and (folder / "depth").is_dir()


def folder_scenes(root: Path, preset: Preset, depth_unit: float = MILLIMETRE) -> list[FolderScene]:
    """The scenes of a folder: itself, or its folders down to two levels.

    Raises:
        DataError: There is none, or one lacks what it needs.
    """
    if is_scene(root):
        return [FolderScene(root, root.name, preset, depth_unit)]
    below = (path for pattern in ("*", "*/*") for path in root.glob(pattern) if path.is_dir())
    folders = [path for path in visible(below, root) if is_scene(path)]
    if not folders:
        raise DataError(
            f"{root}: no scene of posed images found, expected {LAYOUT} in the folder or at most"
            " two below it"
        )
    return [
        FolderScene(folder, folder.relative_to(root).as_posix(), preset, depth_unit)
        for folder in folders
    ]


def _color_files(folder: Path) -> list[Path]:
    files = visible((folder / "color").iterdir(), folder)
    return [path for path in files if path.suffix.lower() in COLOR_ENDINGS]


def _in_order(stem: str) -> tuple[int, str]:
    """Numbers by their value: 2 before 10."""
    return (int(stem), stem) if stem.isdecimal() else (-1, stem)


def _intrinsics(folder: Path) -> dict[str, tuple[np.ndarray, Path]]:
    """The matrices (3, 3) of colour and depth with their files; the same where there is one."""
    files = {path.name: path for path in (folder / "intrinsic").glob("*.txt")}
    for name in ("intrinsic.txt", "intrinsics.txt"):
        for place in (folder, folder.parent):  # ScanNet for OpenScene has one beside all scenes
            if (place / name).is_file():
                files.setdefault(name, place / name)
    _refuse_extrinsics(files)
    color, depth = files.get("intrinsic_color.txt"), files.get("intrinsic_depth.txt")
    others = [path for name, path in files.items() if "extrinsic" not in name]
    if color is None or depth is None:
        if len(others) != 1:
            got = ", ".join(sorted(files)) or "none"
            raise DataError(
                f"{folder / 'intrinsic'}: files of intrinsics: {got}, expected intrinsic_color.txt"
                " and intrinsic_depth.txt, or one file for both"
            )
        color = depth = others[0]
    shapes = ((3, 3), (4, 4))
    return {
        what: (finite_intrinsics(read_matrix(path, "intrinsics", shapes), path), path)
        for what, path in (("color", color), ("depth", depth))
    }


def _refuse_extrinsics(files: dict[str, Path]) -> None:
    """Refuse depth that is not registered to colour: files of ScanNet say it, if only rarely."""
    for name in ("extrinsic_color.txt", "extrinsic_depth.txt"):
        if name in files:
            matrix = read_matrix(files[name], "extrinsics", ((4, 4),))
            if not np.allclose(matrix, np.eye(4), atol=ROTATION_ERROR):
                raise DataError(
                    f"{files[name]}: extrinsics are not the identity, expected depth images in the"
                    " frame of the colour camera: register them to it first"
                )

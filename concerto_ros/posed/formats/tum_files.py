# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Colour and depth images by their stamps, with a trajectory in the format of TUM's RGB-D data.

A line of the trajectory is ``stamp tx ty tz qx qy qz qw``: seconds, metres, camera to world. See
https://cvg.cit.tum.de/data/datasets/rgbd-dataset/file_formats.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path

import numpy as np

from concerto_ros.files.data_error import DataError
from concerto_ros.files.error_text import in_words
from concerto_ros.posed.color_images import ColorImages
from concerto_ros.posed.depth_images import DepthFolder
from concerto_ros.posed.posed_images import PosedImage, PosedImages
from concerto_ros.posed.poses import Trajectory
from concerto_ros.posed.views import Intrinsics

#: Names of the trajectory beside the images.
TRAJECTORIES = (
    "groundtruth.txt",
    "trajectory.txt",
    "CameraTrajectory.txt",
    "KeyFrameTrajectory.txt",
    "poses.txt",
)

#: Metres of a unit of the depth images of this format.
UNIT = 1 / 5000

#: Nanoseconds between a colour image and its depth image, and to the nearest pose, at most.
APART, REACH = 20_000_000, 50_000_000

#: Seconds; nanoseconds of later stamps do not fit into 64 bits, nor do differences of two.
LATEST = 4 * 10**9

LINE = "stamp tx ty tz qx qy qz qw"


def read_trajectory(path: Path) -> tuple[Trajectory, int]:
    """Read a trajectory.

    Returns:
        The trajectory, and the number of lines whose pose is not finite, which are left out.

    Raises:
        DataError: A line is none, two lines have the same stamp and other poses, or there is no
            pose; names file and line.
    """
    lines: dict[int, tuple[int, list[float]]] = {}
    lost = 0
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: {in_words(error)}") from None
    for number, line in enumerate(text.splitlines(), 1):
        words = line.replace(",", " ").split()
        if not words or words[0].startswith("#"):
            continue
        try:
            stamp, values = nanoseconds_of(words[0]), [float(word) for word in words[1:]]
        except (ValueError, InvalidOperation):
            values = []
        if len(values) != 7:
            raise DataError(f"{path}: line {number}: got {line!r}, expected {LINE}")
        if not np.isfinite(values).all():
            lost += 1
            continue
        first, known = lines.setdefault(stamp, (number, values))
        if not _same_pose(known, values):
            raise DataError(
                f"{path}: line {number}: got another pose at the stamp {words[0]} of line {first},"
                " expected one pose for each stamp"
            )
    if not lines:
        raise DataError(f"{path}: holds no pose, expected lines {LINE}")
    stamps = sorted(lines)
    poses = np.array([lines[stamp][1] for stamp in stamps])
    try:
        return Trajectory(np.array(stamps), poses[:, 3:], poses[:, :3]), lost
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def _same_pose(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether two lines say the same pose; a quaternion and its negative do."""
    negative = [*other[:3], *(-value for value in other[3:])]
    return np.allclose(one, other) or np.allclose(one, negative)


def tum_images(
    trajectory_file: Path,
    images: ColorImages,
    depth: DepthFolder | None,
    intrinsics: Intrinsics,
    scale: float,
) -> PosedImages:
    """Find the poses of colour images in a trajectory, and the depth images nearest in time.

    A frame is placed where the trajectory is at the stamp of its depth image, as the node places
    it.

    Args:
        trajectory_file: The trajectory; z points up in it.
        images: The colour images; their names are their stamps, or ``rgb.txt`` beside their
            folder gives these, or they are of a video, whose stamps are seconds from its begin.
        depth: The depth images, by names as those of the colour images, by stamps or by
            ``depth.txt``; None: there are none.
        intrinsics: Of the colour images.
        scale: Metres of a unit of the trajectory.

    Raises:
        DataError: The images have no stamps, or none is within the trajectory.
    """
    trajectory, lost = read_trajectory(trajectory_file)
    stamps = _stamps(images)
    by_time = _by_time(depth) if depth else []
    times = np.array([time for time, _ in by_time], np.int64)
    posed: list[PosedImage] = []
    skipped: Counter[str] = Counter({"lost_pose": lost} if lost else {})
    for index, (name, stamp) in enumerate(zip(images.names, stamps, strict=True)):
        at, file = stamp, None
        if depth:
            file = depth.find(name)
            if file is None and len(times):
                nearest = int(np.abs(times - stamp).argmin())
                if abs(int(times[nearest]) - stamp) <= APART:
                    at, file = by_time[nearest]
            if file is None:
                skipped["no_depth"] += 1
                continue
        pose = trajectory.at(at, REACH)
        if pose is None:
            skipped["no_pose"] += 1
        else:
            posed.append(PosedImage(index, pose, intrinsics, file))
    if not posed:
        have, known = _span(stamps), _span(trajectory.nanoseconds)
        raise DataError(
            f"{trajectory_file}: stamps from {known}, but the images of {images.path} from {have}"
            + (f" (and {skipped['no_depth']} without depth)" if skipped["no_depth"] else "")
            + ": expected images with depth and with a pose within 0.05 s"
        )
    return PosedImages(images, posed, skipped, scale, True, str(trajectory_file))


def nanoseconds_of(text: str) -> int:
    """Return a stamp in seconds as whole nanoseconds, exactly.

    Raises:
        ValueError: It is no number, or none that 64 bits hold.
        InvalidOperation: (of decimal) likewise.
    """
    seconds = Decimal(text)
    if not (seconds.is_finite() and seconds.copy_abs() < LATEST):
        raise ValueError(f"stamp: got {text}, expected seconds below {LATEST}")
    return int((seconds * 10**9).to_integral_value())


def _span(stamps) -> str:
    low, high = int(min(stamps)), int(max(stamps))
    return f"{low / 1e9:.3f} to {high / 1e9:.3f} s"


def _stamps(images: ColorImages) -> list[int]:
    """The stamps of colour images: of their list, their names, or the video."""
    listed = read_list(images.path.parent / "rgb.txt")
    stamps = []
    for name, seconds in zip(images.names, images.seconds, strict=True):
        stamp = listed.get(name.rpartition("/")[2])
        if stamp is None:
            try:
                stamp = nanoseconds_of(name) if images.path.is_dir() else round(seconds * 1e9)
            except (InvalidOperation, ValueError):
                raise DataError(
                    f"{images.path}: image {name}: its name is no stamp in seconds, expected one,"
                    " or rgb.txt beside the folder with lines: stamp rgb/NAME"
                ) from None
        stamps.append(stamp)
    return stamps


def _by_time(depth: DepthFolder) -> list[tuple[int, Path]]:
    listed = read_list(depth.folder.parent / "depth.txt")
    found = []
    for name in depth.names:
        stamp = listed.get(name.rpartition("/")[2])
        file = depth.find(name)
        assert file is not None  # as the folder lists it
        try:
            found.append((nanoseconds_of(name) if stamp is None else stamp, file))
        except (InvalidOperation, ValueError):
            continue  # one that is found by its name, or never
    return sorted(found)


def read_list(path: Path) -> dict[str, int]:
    """Read ``rgb.txt`` or ``depth.txt``: stamps in nanoseconds by the stem of each file."""
    if not path.is_file():
        return {}
    listed = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        words = line.split()
        if len(words) < 2 or words[0].startswith("#"):
            continue
        try:
            listed[Path(words[1]).stem] = nanoseconds_of(words[0])
        except (InvalidOperation, ValueError):
            raise DataError(f"{path}: got {line!r}, expected lines: stamp FILE") from None
    return listed

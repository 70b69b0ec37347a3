# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A transform buffer with the behaviour of tf2: where one frame is in another at a given time.

``tf2_ros`` is not on the Python package index; where it is missing, this module replaces it. A
moving transform is interpolated between its two neighbours in time, never extrapolated; a static
one holds at all times; a chain is followed through the tree (REP-105).

Two results differ from tf2's on purpose. A stamp of 0 means the time 0, not "the latest": a frame
without a stamp must not be placed by whatever came last. And a loop is refused wherever a walk
enters one, also where tf2 would still return the half of it that leads from one frame to the
other.
"""

from __future__ import annotations

import math
import threading
from bisect import bisect_right
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from transforms3d.quaternions import axangle2quat, qconjugate, qmult, quat2mat

from concerto_ros.sensors.message_fields import join_stamp

#: tf2 refuses quaternions whose squared length differs from 1 by this much.
QUATERNION_TOLERANCE = 0.01

FUTURE = "future"  # newer than all known transforms: it may still arrive
PAST = "past"  # older than all known transforms: it will not arrive any more
TOP = "top"  # the frame has no parent
UNKNOWN = "unknown"  # no transform has named the frame yet


_Quaternion = tuple[float, float, float, float]  # w, x, y, z, as transforms3d has them


class TransformUnavailable(Exception):
    """There is no transform between two frames at a stamp.

    Attributes:
        reason: ``no_transform`` or ``transform_loop``, keys of
            :data:`~concerto_ros.sensors.input_error.REASONS`.
        retry: Whether the transform may still arrive, so that waiting for it makes sense.
    """

    def __init__(self, message: str, *, retry: bool, reason: str = "no_transform"):
        super().__init__(message)
        self.retry = retry
        self.reason = reason


@dataclass(frozen=True, eq=False)
class Transform:
    """``p_target = rotation @ p_source + translation``.

    Attributes:
        rotation: (3, 3) float64.
        translation: (3,) float64, metres.
    """

    rotation: np.ndarray
    translation: np.ndarray


class _Pose(NamedTuple):
    """Pose of a child in its parent: unit quaternion and translation in metres."""

    parent: str
    rotation: _Quaternion
    translation: tuple[float, float, float]


class _Walk(NamedTuple):
    """Poses from a frame upwards, the last frame reached, and why the walk ended there."""

    poses: list[_Pose]
    last: str
    end: str


class TransformTree:
    """The transforms of ``/tf``, kept for ``cache_seconds``, and ``/tf_static``, kept forever.

    Inserting is O(log n) in the transforms stored of that child, a lookup O(depth log n).
    Thread-safe.
    """

    def __init__(self, cache_seconds: float = 10.0):
        """Start empty; moving transforms are kept for ``cache_seconds`` before the newest."""
        if not cache_seconds > 0.0:
            raise ValueError(f"cache_seconds: got {cache_seconds}, expected more than 0 s")
        self._cache_ns = round(cache_seconds * 1e9)
        self._children: dict[str, _Fixed | _Moving] = {}
        self._parents: set[str] = set()
        self._lock = threading.Lock()

    def insert(self, transform_stamped: Any, static: bool = False) -> bool:
        """Insert a transform.

        A child may get another parent; the newest transform before a stamp decides.

        Args:
            transform_stamped: A ``geometry_msgs/TransformStamped`` of rclpy, rosbags or another
                library.
            static: Whether it holds at all times.

        Returns:
            False if it was not inserted, as it is older than the newest transform of its child by
            more than the cache.

        Raises:
            ValueError: No frame names, a frame that is its own parent, a value that is not finite,
                or a quaternion that is not of length 1 (tf2 refuses the same ones).
        """
        child = _bare(transform_stamped.child_frame_id)
        pose = _pose_of(transform_stamped)
        stamp = transform_stamped.header.stamp
        with self._lock:
            buffer_type = _Fixed if static else _Moving
            known = self._children.get(child)
            # As in tf2, a child that changes from moving to static (or back) starts from scratch.
            if not isinstance(known, buffer_type):
                known = self._children[child] = buffer_type()
            self._parents.add(pose.parent)
            return known.insert(join_stamp(stamp.sec, stamp.nanosec), pose, self._cache_ns)

    def lookup(self, target: str, source: str, stamp_ns: int) -> Transform:
        """Return the transform of points from ``source`` into ``target`` at a stamp.

        Args:
            target: Frame to transform into.
            source: Frame to transform from; the identity where it is ``target``, known or not.
            stamp_ns: Nanoseconds.

        Raises:
            TransformUnavailable: There is none; ``retry`` says whether it may still arrive.
        """
        target, source = _bare(target), _bare(source)
        if target == source:
            return Transform(np.eye(3), np.zeros(3))
        with self._lock:
            from_source = self._walk(source, stamp_ns)
            from_target = self._walk(target, stamp_ns)
            steps = _steps_to_common_frame(source, from_source, target, from_target)
            if steps is None:
                raise self._unconnected(target, source, stamp_ns, from_target, from_source)
        source_rotation, source_translation = _compose(from_source.poses[: steps[0]])
        target_rotation, target_translation = _compose(from_target.poses[: steps[1]])
        back = target_rotation.T
        return Transform(back @ source_rotation, back @ (source_translation - target_translation))

    def root_of(self, frame: str) -> str:
        """Return the root of the tree above ``frame`` by the newest transforms.

        An unknown frame is its own root.

        Raises:
            TransformUnavailable: The tree contains a loop.
        """
        frame = _bare(frame)
        seen = {frame}
        with self._lock:
            while frame in self._children:
                frame = self._children[frame].newest().parent
                if frame in seen:
                    raise _loop(frame)
                seen.add(frame)
        return frame

    def clear(self) -> None:
        """Forget moving transforms. Static ones stay, as in tf2: they are sent only once."""
        with self._lock:
            self._children = {
                child: poses
                for child, poses in self._children.items()
                if isinstance(poses, _Fixed)
            }
            self._parents = {poses.newest().parent for poses in self._children.values()}

    def _walk(self, frame: str, stamp: int) -> _Walk:
        poses: list[_Pose] = []
        seen = {frame}
        while (known := self._children.get(frame)) is not None:
            pose = known.at(stamp)
            if isinstance(pose, str):
                return _Walk(poses, frame, pose)
            poses.append(pose)
            frame = pose.parent
            if frame in seen:
                raise _loop(frame)
            seen.add(frame)
        return _Walk(poses, frame, TOP if frame in self._parents else UNKNOWN)

    def _unconnected(
        self, target: str, source: str, stamp: int, from_target: _Walk, from_source: _Walk
    ) -> TransformUnavailable:
        # A root may still get a parent and an unknown frame may still appear; a transform older
        # than all known ones will not arrive, unless the other side is the one that is missing.
        ends = {from_source.end, from_target.end}
        return TransformUnavailable(
            f"no transform from {source!r} to {target!r} at {_seconds(stamp)}: "
            f"{self._explain(from_source)}; {self._explain(from_target)}",
            retry=FUTURE in ends or UNKNOWN in ends or PAST not in ends,
        )

    def _explain(self, walk: _Walk) -> str:
        known = self._children.get(walk.last)
        if isinstance(known, _Moving) and walk.end == FUTURE:
            return f"the newest transform of {walk.last!r} is at {_seconds(known.stamps[-1])}"
        if isinstance(known, _Moving) and walk.end == PAST:
            return f"the oldest transform kept of {walk.last!r} is at {_seconds(known.stamps[0])}"
        if walk.end == TOP:
            return f"{walk.last!r} has no parent"
        return f"frame {walk.last!r} is not in the tree"


class _Fixed:
    """A static transform: the last one received, at all times."""

    def insert(self, stamp: int, pose: _Pose, cache_ns: int) -> bool:
        self._pose = pose
        return True

    def at(self, stamp: int) -> _Pose:
        return self._pose

    def newest(self) -> _Pose:
        return self._pose


class _Moving:
    """The transforms of one child, oldest first; among equal stamps in order of arrival."""

    def __init__(self) -> None:
        self.stamps: list[int] = []
        self.poses: list[_Pose] = []

    def insert(self, stamp: int, pose: _Pose, cache_ns: int) -> bool:
        if self.stamps:
            # tf2 removes old ones before it inserts, so that of a transform published more rarely
            # than the cache is long, the last two are still there to interpolate between.
            expired = 0
            while self.stamps[expired] + cache_ns < self.stamps[-1]:
                expired += 1
            if expired:
                del self.stamps[:expired], self.poses[:expired]
            if stamp < self.stamps[-1] - cache_ns:
                return False
        index = bisect_right(self.stamps, stamp)
        same = index - 1
        while same >= 0 and self.stamps[same] == stamp:
            if self.poses[same] == pose:
                return True
            same -= 1
        self.stamps.insert(index, stamp)
        self.poses.insert(index, pose)
        return True

    def at(self, stamp: int) -> _Pose | str:
        stamps, poses = self.stamps, self.poses
        if stamp > stamps[-1]:
            return FUTURE
        if stamp < stamps[0]:
            return PAST
        if stamp == stamps[-1]:
            return poses[-1]
        if stamp == stamps[0]:
            return poses[0]
        after = bisect_right(stamps, stamp)
        older, newer = poses[after - 1], poses[after]
        if older.parent != newer.parent:
            return older  # the new parent is valid from its own stamp on
        fraction = (stamp - stamps[after - 1]) / (stamps[after] - stamps[after - 1])
        (ax, ay, az), (bx, by, bz) = older.translation, newer.translation
        return _Pose(
            older.parent,
            _slerp(older.rotation, newer.rotation, fraction),
            (ax + (bx - ax) * fraction, ay + (by - ay) * fraction, az + (bz - az) * fraction),
        )

    def newest(self) -> _Pose:
        return self.poses[-1]


def transform_of(transform_stamped: Any) -> Transform:
    """Convert a ``geometry_msgs/TransformStamped``.

    Raises:
        ValueError: As :meth:`TransformTree.insert`.
    """
    pose = _pose_of(transform_stamped)
    return Transform(*_compose([pose]))


def _bare(frame: str) -> str:
    """Remove the leading slash of old ROS drivers from a frame name."""
    return frame.removeprefix("/")


def _seconds(stamp: int) -> str:
    return f"{stamp // 1_000_000_000}.{stamp % 1_000_000_000:09d} s"


def _loop(frame: str) -> TransformUnavailable:
    return TransformUnavailable(
        f"the transform tree contains a loop through {frame!r}",
        retry=False,
        reason="transform_loop",
    )


def _pose_of(transform_stamped: Any) -> _Pose:
    parent = _bare(transform_stamped.header.frame_id)
    child = _bare(transform_stamped.child_frame_id)
    if not parent or not child:
        raise ValueError(
            f"transform from {child!r} to {parent!r}: got no frame name, expected two"
        )
    if parent == child:
        raise ValueError(
            f"transform of {child!r}: got the frame itself as parent, expected another"
        )
    transform = transform_stamped.transform
    q, t = transform.rotation, transform.translation
    rotation = (float(q.x), float(q.y), float(q.z), float(q.w))
    translation = (float(t.x), float(t.y), float(t.z))
    if not all(map(math.isfinite, rotation + translation)):
        raise ValueError(
            f"transform from {child!r} to {parent!r}: got translation {translation} and rotation "
            f"{rotation}, expected finite values"
        )
    length = math.hypot(*rotation)
    if abs(length * length - 1.0) >= QUATERNION_TOLERANCE:
        raise ValueError(
            f"transform from {child!r} to {parent!r}: got quaternion {rotation} of length "
            f"{length:.6g}, expected 1"
        )
    x, y, z, w = rotation
    return _Pose(parent, (w / length, x / length, y / length, z / length), translation)


def _steps_to_common_frame(
    source: str, from_source: _Walk, target: str, from_target: _Walk
) -> tuple[int, int] | None:
    """Return how many steps up from source and from target lead to their first common frame."""
    steps = {source: 0}
    for step, pose in enumerate(from_source.poses, 1):
        steps[pose.parent] = step
    if target in steps:
        return steps[target], 0
    for step, pose in enumerate(from_target.poses, 1):
        if pose.parent in steps:
            return steps[pose.parent], step
    return None


def _compose(poses: list[_Pose]) -> tuple[np.ndarray, np.ndarray]:
    """Chain poses: rotation (3, 3) and translation (3,) from first child to last parent."""
    rotation, translation = np.eye(3), np.zeros(3)
    for pose in poses:
        step = quat2mat(pose.rotation)
        rotation = step @ rotation
        translation = step @ translation + pose.translation
    return rotation, translation


def _slerp(a: _Quaternion, b: _Quaternion, fraction: float) -> _Quaternion:
    """Interpolate from a (0) to b (1) at constant angular speed, the short way round."""
    turn = qmult(qconjugate(a), b)
    if turn[0] < 0.0:
        turn = -turn
    sine = math.hypot(*turn[1:])
    if sine == 0.0:
        return a
    # quat2axangle has the angle by arccos, which loses all digits where it is small.
    angle = 2.0 * math.atan2(sine, turn[0])
    part = axangle2quat(turn[1:] / sine, fraction * angle, is_normalized=True)
    w, x, y, z = qmult(a, part)
    return w, x, y, z

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Our transforms and our decoder against the packages that ROS users know, where they are there.

Transforms are those of transforms3d, of which tf_transformations is made; SciPy has others.
sensor_msgs_py is on every ROS 2 machine.
"""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp

from concerto_ros.sensors.point_cloud2 import point_cloud_fields
from concerto_ros.sensors.transform_tree import TransformTree

SECOND = 1_000_000_000


def rotation(wxyz):
    return Rotation.from_quat(np.asarray(wxyz)[[1, 2, 3, 0]])


def stamped(parent, child, seconds, translation, wxyz):
    w, x, y, z = map(float, wxyz)
    return SimpleNamespace(
        header=SimpleNamespace(frame_id=parent, stamp=SimpleNamespace(sec=seconds, nanosec=0)),
        child_frame_id=child,
        transform=SimpleNamespace(
            translation=SimpleNamespace(**dict(zip("xyz", map(float, translation), strict=True))),
            rotation=SimpleNamespace(x=x, y=y, z=z, w=w),
        ),
    )


def test_chains_of_transforms_are_those_of_scipy():
    random = np.random.default_rng(3)
    for _ in range(20):
        tree, expected = TransformTree(), np.eye(4)
        for parent, child in (("map", "odom"), ("odom", "base"), ("base", "camera")):
            turn = random.normal(size=4)
            turn /= np.linalg.norm(turn)
            step = np.eye(4)
            step[:3, :3], step[:3, 3] = rotation(turn).as_matrix(), random.uniform(-9, 9, 3)
            tree.insert(stamped(parent, child, 1, step[:3, 3], turn), static=True)
            expected = expected @ step
        found = tree.lookup("map", "camera", SECOND)
        np.testing.assert_allclose(found.rotation, expected[:3, :3], atol=1e-12)
        np.testing.assert_allclose(found.translation, expected[:3, 3], atol=1e-12)
        back = tree.lookup("camera", "map", SECOND)
        inverse = np.linalg.inv(expected)
        np.testing.assert_allclose(back.rotation, inverse[:3, :3], atol=1e-12)
        np.testing.assert_allclose(back.translation, inverse[:3, 3], atol=1e-12)


@pytest.mark.parametrize("angle", [None, 1e-9, 1e-5, 3.14159])
def test_rotations_are_interpolated_as_scipy_does(angle):
    random = np.random.default_rng(4)
    for _ in range(20):
        begin, end = random.normal(size=(2, 4))
        begin, end = begin / np.linalg.norm(begin), end / np.linalg.norm(end)
        if angle is not None:
            axis = end[1:] / np.linalg.norm(end[1:])
            turned = rotation(begin) * Rotation.from_rotvec(angle * axis)
            end = turned.as_quat()[[3, 0, 1, 2]] * random.choice([-1, 1])
        tree = TransformTree()
        tree.insert(stamped("odom", "base", 0, (0, 0, 0), begin))
        tree.insert(stamped("odom", "base", 4, (4, 0, 0), end))
        between = Slerp([0, 1], Rotation.concatenate([rotation(begin), rotation(end)]))
        for share in (0.25, 0.5, 0.9):
            found = tree.lookup("odom", "base", round(4 * share * SECOND))
            np.testing.assert_allclose(found.rotation, between(share).as_matrix(), atol=1e-12)
            np.testing.assert_allclose(found.translation, (4 * share, 0, 0), atol=1e-12)


KINDS = {"i1": 1, "u1": 2, "i2": 3, "u2": 4, "i4": 5, "u4": 6, "f4": 7, "f8": 8}


@pytest.mark.parametrize("height", [1, 4])
@pytest.mark.parametrize("big", [False, True])
def test_every_field_of_a_cloud_is_what_sensor_msgs_py_reads(big, height):
    witness = pytest.importorskip("sensor_msgs_py.point_cloud2")
    messages = pytest.importorskip("sensor_msgs.msg")
    order, random = "<>"[big], np.random.default_rng(5)
    kinds = ["f4", "f4", "f4", *random.permutation(list(KINDS))]
    names = ["x", "y", "z", *(f"of_{kind}" for kind in kinds[3:])]
    layout = np.dtype([(name, order + kind) for name, kind in zip(names, kinds, strict=True)])
    points = np.zeros(24, layout)
    for name in names:
        points[name] = random.integers(0, 100, 24)
    message = messages.PointCloud2(
        height=height,
        width=24 // height,
        is_bigendian=big,
        point_step=layout.itemsize,
        row_step=layout.itemsize * (24 // height),
        data=points.tobytes(),
    )
    for name, kind in zip(names, kinds, strict=True):
        offset = layout.fields[name][1]
        field = messages.PointField(name=name, offset=offset, datatype=KINDS[kind], count=1)
        message.fields.append(field)
    ours = point_cloud_fields(message)
    if big != (sys.byteorder == "big"):  # it swaps the bytes, in memory that it must own
        message.data = bytearray(message.data)
    theirs = witness.read_points(message)
    assert list(ours) == names
    for name in names:
        np.testing.assert_array_equal(ours[name].ravel(), theirs[name])
        np.testing.assert_array_equal(ours[name].ravel(), points[name])

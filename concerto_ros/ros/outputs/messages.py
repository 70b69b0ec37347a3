# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Conversion of predictions, label sets and pictures to ROS messages."""

from __future__ import annotations

from array import array

import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import Image, PointCloud2, PointField
from std_msgs.msg import ColorRGBA, Header

from concerto_ros.labels.label_set import LabelSet
from concerto_ros.labels.packed_cloud import PackedCloud, fill_classes
from concerto_ros.msg import SemanticClass, SemanticClasses
from concerto_ros.sensors.message_fields import split_stamp


def make_time(stamp: int) -> Time:
    """Convert a ``stamp`` in nanoseconds to a message."""
    sec, nanosec = split_stamp(stamp)
    return Time(sec=sec, nanosec=nanosec)


def make_header(frame_id: str, stamp: int) -> Header:
    """Make a header; ``stamp`` is in nanoseconds."""
    return Header(frame_id=frame_id, stamp=make_time(stamp))


def cloud_message(cloud: PackedCloud, header: Header) -> PointCloud2:
    """Convert to an unorganised, little-endian, dense PointCloud2."""
    data = array("B")
    data.frombytes(cloud.data.data)
    return PointCloud2(
        header=header,
        height=1,
        width=cloud.width,
        fields=[
            PointField(
                name=field.name, offset=field.offset, datatype=field.datatype, count=field.elements
            )
            for field in cloud.fields
        ],
        is_bigendian=False,
        point_step=cloud.point_step,
        row_step=cloud.point_step * cloud.width,
        data=data,
        is_dense=True,
    )


def classes_message(labels: LabelSet, model: str, header: Header) -> SemanticClasses:
    """Convert the label set; the classes are in label order."""
    return fill_classes(
        labels, model, header, classes=SemanticClasses, entry=SemanticClass, color=ColorRGBA
    )


def image_message(pixels: np.ndarray, header: Header) -> Image:
    """Convert (H, W, 3) uint8 RGB to an Image with encoding rgb8."""
    height, width, _ = pixels.shape
    data = array("B")
    data.frombytes(np.ascontiguousarray(pixels).data)
    return Image(
        header=header, height=height, width=width, encoding="rgb8", step=3 * width, data=data
    )

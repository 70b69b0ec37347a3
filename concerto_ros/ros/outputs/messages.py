# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Predictions and label sets as messages."""

from __future__ import annotations

from array import array

import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import Image, PointCloud2, PointField
from std_msgs.msg import ColorRGBA, Header

from concerto_ros.labels.label_set import LabelSet
from concerto_ros.labels.packed_cloud import (
    PackedCloud,
    fill_classes,
    pack_cloud,
    pack_colors,
    pack_prediction,
    packed_rgb,
)
from concerto_ros.msg import SemanticClass, SemanticClasses
from concerto_ros.pipeline import Prediction
from concerto_ros.viz.colormap import heat_colors


def header(frame_id: str, stamp: int) -> Header:
    """A header with ``stamp`` nanoseconds."""
    seconds, nanoseconds = divmod(stamp, 1_000_000_000)
    return Header(frame_id=frame_id, stamp=Time(sec=seconds, nanosec=nanoseconds))


def labels_message(
    prediction: Prediction, palette: np.ndarray, head: Header, layout: str = "pcl"
) -> PointCloud2:
    """``x y z rgb label confidence``: PCL's PointXYZRGBL, and the confidence after it.

    With ``layout`` "autoware" ``x y z class_id probability entropy``.
    """
    return _point_cloud(head, pack_prediction(prediction, palette, layout))


def pca_message(prediction: Prediction, head: Header) -> PointCloud2:
    """``x y z rgb``."""
    return _point_cloud(head, pack_colors(prediction.points, prediction.pca_rgb))


def similarity_message(prediction: Prediction, head: Header) -> PointCloud2:
    """``x y z rgb intensity``: the cosine as intensity and as a colour."""
    cosine = prediction.similarity
    rgb = packed_rgb(heat_colors(cosine))
    return _point_cloud(head, pack_cloud(prediction.points, rgb=rgb, intensity=cosine))


def cloud_message(head: Header, points: np.ndarray, **columns: np.ndarray) -> PointCloud2:
    """An unorganised little-endian cloud: (N, 3) ``points`` and (N,) columns by field name."""
    return _point_cloud(head, pack_cloud(points, **columns))


def _point_cloud(head: Header, cloud: PackedCloud) -> PointCloud2:
    data = array("B")
    data.frombytes(cloud.data.data)
    return PointCloud2(
        header=head,
        height=1,
        width=cloud.width,
        fields=[
            PointField(name=field.name, offset=field.offset, datatype=field.datatype, count=1)
            for field in cloud.fields
        ],
        is_bigendian=False,
        point_step=cloud.point_step,
        row_step=cloud.point_step * cloud.width,
        data=data,
        is_dense=True,
    )


def classes_message(labels: LabelSet, model: str, head: Header) -> SemanticClasses:
    """The label set in label order."""
    return fill_classes(
        labels, model, head, classes=SemanticClasses, entry=SemanticClass, color=ColorRGBA
    )


def image_message(pixels: np.ndarray, head: Header) -> Image:
    """(H, W, 3) uint8 RGB as rgb8."""
    height, width, _ = pixels.shape
    data = array("B")
    data.frombytes(np.ascontiguousarray(pixels).data)
    return Image(
        header=head, height=height, width=width, encoding="rgb8", step=3 * width, data=data
    )

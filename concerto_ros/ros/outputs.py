# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Predictions and label sets as messages."""

from __future__ import annotations

from array import array

import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import Image, PointCloud2, PointField
from std_msgs.msg import ColorRGBA, Header

from concerto_ros.labels import LabelSet
from concerto_ros.msg import SemanticClass, SemanticClasses
from concerto_ros.pipeline import Prediction

_DATATYPES = {
    np.dtype(np.uint8): PointField.UINT8,
    np.dtype(np.uint32): PointField.UINT32,
    np.dtype(np.float32): PointField.FLOAT32,
}


def header(frame_id: str, stamp: int) -> Header:
    """A header with ``stamp`` nanoseconds."""
    seconds, nanoseconds = divmod(stamp, 1_000_000_000)
    return Header(frame_id=frame_id, stamp=Time(sec=seconds, nanosec=nanoseconds))


def labels_message(prediction: Prediction, palette: np.ndarray, head: Header) -> PointCloud2:
    """``x y z rgb label confidence``: PCL's PointXYZRGBL, and the confidence after it."""
    return cloud_message(
        head,
        prediction.points,
        rgb=packed_rgb(palette[prediction.label]),
        label=prediction.label.astype(np.uint32),
        confidence=prediction.confidence,
    )


def pca_message(prediction: Prediction, head: Header) -> PointCloud2:
    """``x y z rgb``."""
    return cloud_message(head, prediction.points, rgb=packed_rgb(prediction.pca_rgb))


def cloud_message(head: Header, points: np.ndarray, **columns: np.ndarray) -> PointCloud2:
    """An unorganised little-endian cloud: (N, 3) ``points`` and (N,) columns by field name."""
    fields = dict(zip("xyz", points.astype(np.float32, copy=False).T, strict=True)) | columns
    layout = np.dtype([(name, column.dtype) for name, column in fields.items()])
    records = np.empty(len(points), layout.newbyteorder("<"))
    for name, column in fields.items():
        records[name] = column
    data = array("B")
    data.frombytes(records.view(np.uint8).data)
    return PointCloud2(
        header=head,
        height=1,
        width=len(records),
        fields=[
            PointField(
                name=name, offset=offset, datatype=_DATATYPES[kind.newbyteorder("=")], count=1
            )
            for name, (kind, offset) in layout.fields.items()
        ],
        is_bigendian=False,
        point_step=layout.itemsize,
        row_step=layout.itemsize * len(records),
        data=data,
        is_dense=True,
    )


def packed_rgb(rgb: np.ndarray) -> np.ndarray:
    """(N, 3) uint8 as PCL packs it: 0x00RRGGBB in the bits of a float32."""
    red, green, blue = rgb.astype(np.uint32).T
    return (red << 16 | green << 8 | blue).view(np.float32)


def classes_message(labels: LabelSet, model: str, head: Header) -> SemanticClasses:
    """The label set in label order."""
    return SemanticClasses(
        header=head,
        model=model,
        label_set=labels.name,
        classes=[
            SemanticClass(
                id=entry.id,
                source_id=entry.source_id,
                name=entry.name,
                color=ColorRGBA(
                    r=entry.color[0] / 255, g=entry.color[1] / 255, b=entry.color[2] / 255, a=1.0
                ),
            )
            for entry in labels.classes
        ],
    )


def image_message(pixels: np.ndarray, head: Header) -> Image:
    """(H, W, 3) uint8 RGB as rgb8."""
    height, width, _ = pixels.shape
    data = array("B")
    data.frombytes(np.ascontiguousarray(pixels).data)
    return Image(
        header=head, height=height, width=width, encoding="rgb8", step=3 * width, data=data
    )

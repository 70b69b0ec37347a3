# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Byte layout of the output messages, independent of the message library (rclpy or a bag)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from concerto_ros.labels.heat_colors import heat_colors
from concerto_ros.labels.label_set import LabelSet

if TYPE_CHECKING:  # it would load PyTorch
    from concerto_ros.labels.prediction import Prediction

#: sensor_msgs/PointField datatype constants of the numpy types in use.
DATATYPES = {
    np.dtype(np.int8): 1,
    np.dtype(np.uint8): 2,
    np.dtype(np.uint16): 4,
    np.dtype(np.uint32): 6,
    np.dtype(np.float32): 7,
}


#: The largest id of an object for which the panoptic packing has room.
LARGEST_PANOPTIC_ID = 0xFFFF


class PackedField(NamedTuple):
    """A sensor_msgs/PointField of ``elements`` numbers, its ``count``."""

    name: str
    offset: int
    datatype: int
    elements: int = 1


@dataclass(frozen=True, eq=False)
class PackedCloud:
    """The fields and bytes of a sensor_msgs/PointCloud2 of one row.

    Attributes:
        fields: in the order of their bytes.
        point_step: bytes of a point.
        data: (N * point_step,) uint8, little-endian.
        width: N.
    """

    fields: tuple[PackedField, ...]
    point_step: int
    data: np.ndarray
    width: int


@dataclass(frozen=True, eq=False)
class CloudStyle:
    """How labels are shown.

    Attributes:
        palette: (256, 3) uint8, the colour of each label.
        layout: that of ``~/labels``, the parameter ``labels.layout``.
        instances: whether the field ``instance`` follows, the parameter ``labels.instances``.
    """

    palette: np.ndarray
    layout: str = "pcl"
    instances: bool = False


def pack_prediction(prediction: Prediction, style: CloudStyle) -> PackedCloud:
    """Pack ``~/labels``, the label of each point in the layout of the style."""
    points, label, confidence = prediction.points, prediction.label, prediction.confidence
    instance = prediction.instance
    if instance is None:
        instance = np.zeros(len(label), np.uint32)
    shown = instance if style.instances else None
    if style.layout == "autoware":
        return pack_labels_for_autoware(points, label, confidence, prediction.entropy, shown)
    if style.layout == "panoptic":
        joined = panoptic(label, instance)
        return pack_labels(points, label, confidence, style.palette, shown, joined=joined)
    return pack_labels(points, label, confidence, style.palette, shown)


def pack_labels(
    points: np.ndarray,
    label: np.ndarray,
    confidence: np.ndarray,
    palette: np.ndarray,
    instance: np.ndarray | None = None,
    *,
    joined: np.ndarray | None = None,
) -> PackedCloud:
    """Pack ``x y z rgb label confidence``: PCL's PointXYZRGBL, with the confidence after it.

    Args:
        points: (N, 3) metres.
        label: (N,) uint8.
        confidence: (N,) float32.
        palette: (256, 3) uint8, the colour of each label.
        instance: (N,) uint32, a last field; None: no such field.
        joined: (N,) uint32 of :func:`panoptic`, a field of that name in the place of ``label``;
            None: the label.
    """
    named = {"label": label.astype(np.uint32)} if joined is None else {"panoptic": joined}
    return pack_cloud(
        points,
        rgb=packed_rgb(palette[label]),
        **named,
        confidence=confidence,
        **_with_instance(instance),
    )


def pack_labels_for_autoware(
    points: np.ndarray,
    label: np.ndarray,
    confidence: np.ndarray,
    entropy: np.ndarray,
    instance: np.ndarray | None = None,
) -> PackedCloud:
    """Pack ``x y z class_id probability entropy``, 21 bytes: the layout of autoware_ptv3.

    Args:
        points: (N, 3) metres.
        label: (N,) uint8.
        confidence: (N,) float32.
        entropy: (N,) float32.
        instance: (N,) uint32, a last field; None: no such field.
    """
    return pack_cloud(
        points,
        class_id=label,
        probability=confidence,
        entropy=entropy,
        **_with_instance(instance),
    )


def _with_instance(instance: np.ndarray | None) -> dict[str, np.ndarray]:
    return {} if instance is None else {"instance": instance.astype(np.uint32)}


def panoptic(label: np.ndarray, instance: np.ndarray) -> np.ndarray:
    """Join label and instance as ``(label << 16) | instance``, (N,) uint32.

    MIT's semantic_inference packs them so for Hydra and Khronos.

    Args:
        label: (N,) uint8.
        instance: (N,) uint32; an id above :data:`LARGEST_PANOPTIC_ID` becomes 0, none.
    """
    fits = np.where(instance <= LARGEST_PANOPTIC_ID, instance, 0).astype(np.uint32)
    return label.astype(np.uint32) << 16 | fits


def labels_in(fields: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """Return the labels in the fields of a cloud of any layout of ``~/labels``.

    Returns:
        The values of the field ``label`` or ``class_id``, or those in ``panoptic``; None for a
            cloud without labels.
    """
    if "panoptic" in fields:
        return fields["panoptic"] >> 16
    return fields.get("class_id", fields.get("label"))


def instances_in(fields: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """Return the ids of objects in the fields of a cloud of any layout of ``~/labels``.

    Returns:
        The values of the field ``instance``, or those in ``panoptic``; None for a cloud without.
    """
    if "instance" not in fields and "panoptic" in fields:
        return fields["panoptic"] & LARGEST_PANOPTIC_ID
    return fields.get("instance")


def pack_pca(prediction: Prediction, _style: CloudStyle) -> PackedCloud:
    """Pack ``x y z rgb``, the features as colours."""
    return pack_cloud(prediction.points, rgb=packed_rgb(prediction.pca_rgb))


def pack_similarity(prediction: Prediction, _style: CloudStyle) -> PackedCloud:
    """Pack ``x y z rgb intensity``, the cosine as colour and as intensity.

    Points whose feature is not finite are left out. The cloud is empty for a prediction without a
    similarity.
    """
    cosine = prediction.similarity
    if cosine is None:
        prediction, cosine = prediction.where(slice(0)), np.zeros(0, np.float32)
    elif np.isnan(cosine).any():
        known = ~np.isnan(cosine)
        prediction, cosine = prediction.where(known), cosine[known]
    return pack_cloud(prediction.points, rgb=packed_rgb(heat_colors(cosine)), intensity=cosine)


def pack_features(
    points: np.ndarray, components: np.ndarray, encoding: str = "float16"
) -> PackedCloud:
    """Pack ``x y z features``, of the points whose features are finite.

    A PointField knows no half precision, so ``float16`` is a field of uint16 that has its bits:
    ``view(numpy.float16)`` reads it. ``int8`` has the field ``scale`` before it; the component is
    their product, so that angles between features are kept.

    Args:
        points: (N, 3) metres.
        components: (N, K) float32.
        encoding: ``float32``, ``float16`` or ``int8``.

    Raises:
        ValueError: the encoding does not exist.
    """
    known = np.isfinite(components).all(axis=1)
    points, components = points[known], components[known]
    if encoding == "float32":
        return pack_cloud(points, features=components)
    if encoding == "float16":
        largest = np.finfo(np.float16).max
        half = np.clip(components, -largest, largest).astype(np.float16)
        return pack_cloud(points, features=half.view(np.uint16))
    if encoding != "int8":
        raise ValueError(f"encoding is {encoding!r}, expected float32, float16 or int8")
    largest = np.abs(components).max(axis=1, initial=0.0)
    scale = np.where(largest > 0, largest / 127, 1).astype(np.float32)
    steps = np.rint(components / scale[:, None]).astype(np.int8)
    return pack_cloud(points, scale=scale, features=steps)


def pack_cloud(points: np.ndarray, **columns: np.ndarray) -> PackedCloud:
    """Pack points and further fields, one after the other without padding.

    Args:
        points: (N, 3), stored as float32 ``x y z``.
        columns: (N,) or (N, count) arrays by field name, of the types in :data:`DATATYPES`.
    """
    fields = dict(zip("xyz", points.astype(np.float32, copy=False).T, strict=True)) | columns
    layout = np.dtype([(name, column.dtype, column.shape[1:]) for name, column in fields.items()])
    records = np.empty(len(points), layout.newbyteorder("<"))
    for name, column in fields.items():
        records[name] = column
    return PackedCloud(
        fields=tuple(
            PackedField(
                name,
                offset,
                DATATYPES[dtype.base.newbyteorder("=")],
                dtype.shape[0] if dtype.shape else 1,
            )
            for name, (dtype, offset, *_) in (layout.fields or {}).items()
        ),
        point_step=layout.itemsize,
        data=records.view(np.uint8),
        width=len(records),
    )


def packed_rgb(rgb: np.ndarray) -> np.ndarray:
    """Pack (N, 3) uint8 colours as PCL does: 0x00RRGGBB in the bits of a float32, (N,)."""
    red, green, blue = rgb.astype(np.uint32).T
    return (red << 16 | green << 8 | blue).view(np.float32)


def fill_classes(
    labels: LabelSet,
    model: str,
    header: Any,
    *,
    classes: Callable[..., Any],
    entry: Callable[..., Any],
    color: Callable[..., Any],
) -> Any:
    """Build the message of ``~/classes``, in label order.

    Args:
        labels: the label set.
        model: names of encoder and head.
        header: a std_msgs/Header of the same message library.
        classes: the message type SemanticClasses.
        entry: the message type SemanticClass.
        color: the message type std_msgs/ColorRGBA.
    """
    return classes(
        header=header,
        model=model,
        label_set=labels.name,
        classes=[
            entry(
                id=semantic_class.id,
                source_id=semantic_class.source_id,
                name=semantic_class.name,
                color=color(
                    **{
                        channel: value / 255
                        for channel, value in zip("rgb", semantic_class.color, strict=True)
                    },
                    a=1.0,
                ),
            )
            for semantic_class in labels.classes
        ],
    )

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The node's outputs as messages of a bag, with the types of rosbags."""

from __future__ import annotations

from functools import cache
from typing import Any

from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from concerto_ros.files.shared_files import share_path
from concerto_ros.labels.label_set import LabelSet
from concerto_ros.labels.packed_cloud import PackedCloud, fill_classes
from concerto_ros.sensors.message_fields import split_stamp

#: The messages of this package that are recorded, which no ROS distribution contains.
OWN_MESSAGES = ("SemanticClass", "SemanticClasses", "PerceptionStatus")

POINT_CLOUD = "sensor_msgs/msg/PointCloud2"
SEMANTIC_CLASSES = "concerto_ros/msg/SemanticClasses"

#: rmw's RMW_DURATION_INFINITE.
_FOREVER = QosTime(9223372036, 854775807)


@cache
def type_store() -> Any:
    """Return the message types of Jazzy and of this package."""
    store = get_typestore(Stores.ROS2_JAZZY)
    types: dict = {}
    for name in OWN_MESSAGES:
        text = share_path(f"msg/{name}.msg").read_text(encoding="utf-8")
        types.update(get_types_from_msg(text, f"concerto_ros/msg/{name}"))
    store.register(types)
    return store


def cloud_message(cloud: PackedCloud, frame: str, stamp: int) -> bytes:
    """Serialise a cloud as a PointCloud2 in CDR bytes; ``stamp`` in nanoseconds."""
    types = type_store().types
    field_type = types["sensor_msgs/msg/PointField"]
    message = types[POINT_CLOUD](
        header=_header(frame, stamp),
        height=1,
        width=cloud.width,
        fields=[
            field_type(field.name, field.offset, field.datatype, field.elements)
            for field in cloud.fields
        ],
        is_bigendian=False,
        point_step=cloud.point_step,
        row_step=cloud.point_step * cloud.width,
        data=cloud.data,
        is_dense=True,
    )
    return bytes(type_store().serialize_cdr(message, POINT_CLOUD))


def classes_message(labels: LabelSet, model: str, frame: str, stamp: int) -> bytes:
    """Serialise ``~/classes`` as a SemanticClasses in CDR bytes; ``stamp`` in nanoseconds."""
    types = type_store().types
    message = fill_classes(
        labels,
        model,
        _header(frame, stamp),
        classes=types[SEMANTIC_CLASSES],
        entry=types["concerto_ros/msg/SemanticClass"],
        color=types["std_msgs/msg/ColorRGBA"],
    )
    return bytes(type_store().serialize_cdr(message, SEMANTIC_CLASSES))


def quality(*, latched: bool) -> Qos:
    """Return the QoS of the node's outputs: reliable, depth 1; ``latched``: transient local."""
    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=1,
        reliability=QosReliability.RELIABLE,
        durability=QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        deadline=_FOREVER,
        lifespan=_FOREVER,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=_FOREVER,
        avoid_ros_namespace_conventions=False,
    )


def _header(frame: str, stamp: int) -> Any:
    types = type_store().types
    time = types["builtin_interfaces/msg/Time"](*split_stamp(stamp))
    return types["std_msgs/msg/Header"](time, frame)

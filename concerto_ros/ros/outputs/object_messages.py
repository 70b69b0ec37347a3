# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Conversion of objects to messages: SemanticObject, RViz markers and vision_msgs detections."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
from std_msgs.msg import ColorRGBA, Header

from concerto_ros.labels.track_colors import color_of
from concerto_ros.msg import ObjectHypothesis, SemanticObject, SemanticObjectArray
from concerto_ros.objects.finding.boxes import EDGES, OrientedBox
from concerto_ros.objects.finding.finder import FoundObject, FoundObjects
from concerto_ros.ros.outputs.messages import make_time

#: Width of the lines of a box and height of its name, metres.
LINE, TEXT = 0.01, 0.08

#: Colour of what was found by a text: none of the heat map on ``~/similarity`` around it.
FOUND = np.array([80, 255, 120], np.uint8)


def objects_message(model: str, findings: FoundObjects, header: Header) -> SemanticObjectArray:
    """Convert to ``~/objects``; ``model`` is the name of what classified them."""
    objects = [object_message(found) for found in findings.objects]
    return SemanticObjectArray(header=header, model=model, objects=objects)


def markers_message(findings: FoundObjects, header: Header) -> Any:
    """Convert to a visualization_msgs/MarkerArray: each object's box with its name above it."""
    shown = [(found.track.id, found, color_of(found.track.id)) for found in findings.objects]
    return _markers(shown, header)


def found_markers_message(matches: Sequence[FoundObject], header: Header) -> Any:
    """Convert the answer of ``~/find`` to a MarkerArray, all boxes in one colour."""
    return _markers([(row + 1, found, FOUND) for row, found in enumerate(matches)], header)


def _markers(shown: Sequence[tuple[int, FoundObject, np.ndarray]], header: Header) -> Any:
    """Box and name of objects, each with a number of its own and a colour (3,) uint8."""
    from visualization_msgs.msg import Marker, MarkerArray

    markers = [Marker(header=header, action=Marker.DELETEALL)]
    for number, found, color in shown:
        box = found.track.instance.box
        red, green, blue = color / 255
        common = {
            "header": header,
            "id": number,
            "color": ColorRGBA(r=red, g=green, b=blue, a=1.0),
        }
        lines = Marker(ns="boxes", type=Marker.LINE_LIST, pose=_pose(box), **common)
        lines.scale.x = LINE
        lines.points = [_point(corner * box.size) for corner in EDGES.reshape(-1, 3)]
        name = Marker(ns="names", type=Marker.TEXT_VIEW_FACING, pose=_pose(box), **common)
        name.pose.position.z += box.size[2] / 2 + TEXT
        name.scale.z = TEXT
        name.text = title(found)
        markers += [lines, name]
    return MarkerArray(markers=markers)


def detections_message(findings: FoundObjects, header: Header) -> Any:
    """Convert to a vision_msgs/Detection3DArray with hypotheses, box and id of each object."""
    from vision_msgs.msg import (
        BoundingBox3D,
        Detection3D,
        Detection3DArray,
        ObjectHypothesisWithPose,
    )

    detections = []
    for found in findings.objects:
        box = found.track.instance.box
        detection = Detection3D(header=header, id=str(found.track.id))
        detection.bbox = BoundingBox3D(center=_pose(box), size=_vector(box.size))
        for name, score in found.hypotheses:
            hypothesis = ObjectHypothesisWithPose()
            hypothesis.hypothesis.class_id = name
            hypothesis.hypothesis.score = score
            hypothesis.pose.pose = _pose(box)
            detection.results.append(hypothesis)
        detections.append(detection)
    return Detection3DArray(header=header, detections=detections)


def title(found: FoundObject) -> str:
    """The text above the box: the best class, its score and the id."""
    number = f" #{found.track.id}" if found.track.id else ""
    if not found.hypotheses:
        return f"object{number}"
    name, score = found.hypotheses[0]
    return f"{name} {score:.0%}{number}"


def object_message(found: FoundObject) -> SemanticObject:
    """Convert one object; the message is in the frame of the map."""
    track, instance = found.track, found.track.instance
    return SemanticObject(
        id=track.id,
        hypotheses=[
            ObjectHypothesis(class_name=name, score=score) for name, score in found.hypotheses
        ],
        box_center=_pose(instance.box),
        box_size=_vector(instance.box.size),
        centroid=_point(instance.centroid),
        point_count=instance.count,
        on_surface=instance.on_surface,
        first_seen=make_time(track.first_seen),
        last_seen=make_time(track.last_seen),
        embedding=_floats(found.embedding),
        text_vector=_floats(found.text_vector),
    )


def _floats(vector: np.ndarray | None) -> array:
    return array("f", b"" if vector is None else vector.astype(np.float32).tobytes())


def _pose(box: OrientedBox) -> Pose:
    half = box.yaw / 2
    return Pose(
        position=_point(box.center), orientation=Quaternion(z=math.sin(half), w=math.cos(half))
    )


def _point(position: np.ndarray) -> Point:
    return Point(x=float(position[0]), y=float(position[1]), z=float(position[2]))


def _vector(size: np.ndarray) -> Vector3:
    return Vector3(x=float(size[0]), y=float(size[1]), z=float(size[2]))

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The entities of a recording: clouds, boxes, images, transforms, times, and what classes mean.

The names of the entities are the interface to :mod:`concerto_ros.viewer.layout` and to whoever
reads a recording: ``labels``, ``pca``, ``similarity``, ``filtered/<name>``,
``instances``, ``objects``, ``inputs/<name>``, ``cameras/<name>/color`` and ``depth``,
``frames/<frame>``, ``times/<stage>``, ``classes`` (the legend).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from concerto_ros.labels.label_set import UNLABELLED, UNLABELLED_COLOR, LabelSet
from concerto_ros.sensors.camera_model import CameraModel
from concerto_ros.viewer.library import rerun_library
from concerto_ros.viz.cloud_picture import spacing
from concerto_ros.viz.legend import legend

#: The timeline: stamps of messages.
TIME = "time"

#: Quality of the JPEG files as which images are kept.
JPEG_QUALITY = 80

#: Radius of the points of a cloud, as a multiple of their spacing: surfaces look closed, and edges
#: stay sharp.
COVERING = 0.45

#: Depth is kept in millimetres, as in REP-118, up to this many metres.
FARTHEST_DEPTH = 65.535


class Scene:
    """Writes into a recording what the viewer shows.

    Args:
        recording: A ``rerun.RecordingStream``.

    Attributes:
        entities: Names of those that were shown.
        labelled: (N, 3), metres, the points of the newest labels.
    """

    def __init__(self, recording: Any):
        self._recording = recording
        self._rerun = rerun_library()
        self._timeless = True
        self._in_frame: dict[str, str] = {}
        self._radius: dict[str, float] = {}
        self.entities: set[str] = set()
        self.labelled = np.zeros((0, 3), np.float32)
        recording.set_log_time_enabled(False)
        recording.set_log_tick_enabled(False)
        recording.log("/", self._rerun.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)

    def at(self, stamp: int) -> None:
        """Set the time of all that follows, nanoseconds; before the first call all is timeless."""
        self._timeless = False
        self._recording.set_time(TIME, timestamp=np.datetime64(stamp, "ns"))

    def look(self, blueprint: Any) -> None:
        """Arrange the viewer by a blueprint of :func:`~concerto_ros.viewer.layout.layout`."""
        self._recording.send_blueprint(blueprint)

    def classes(self, labels: LabelSet, title: str) -> None:
        """Name and colour the labels, and draw their legend with ``title`` above it."""
        known = [(entry.id, entry.name, entry.color) for entry in labels.classes]
        known.append((UNLABELLED, "unlabelled", UNLABELLED_COLOR))
        self._log("/", self._rerun.AnnotationContext(known), static=True)
        picture = self._rerun.Image(legend(labels, title))
        self._log("classes", picture, static=True)

    def labels(self, points: np.ndarray, label: np.ndarray, frame: str = "") -> None:
        """Show labels (N,) of points (N, 3), metres, in the colours of :meth:`classes`."""
        self.labelled = points
        self._cloud("labels", points, frame, class_ids=label)

    def cloud(self, entity: str, points: np.ndarray, rgb: np.ndarray, frame: str = "") -> None:
        """Show points (N, 3), metres, in their colours (N, 3) uint8."""
        self._cloud(entity, points, frame, colors=rgb)

    def _cloud(self, entity: str, points: np.ndarray, frame: str, **how: np.ndarray) -> None:
        self._place(entity, frame)
        points = points.astype(np.float32, copy=False)
        if len(points) and entity not in self._radius:  # once: it takes longer than the rest
            self._radius[entity] = COVERING * spacing(points)
        radius = self._radius.get(entity, 0.0)
        self._log(entity, self._rerun.Points3D(points, radii=radius, **how))

    def boxes(
        self,
        centers: np.ndarray,
        sizes: np.ndarray,
        yaws: np.ndarray,
        titles: Sequence[str],
        colors: np.ndarray,
        frame: str = "",
    ) -> None:
        """Show objects as boxes.

        Args:
            centers: (M, 3), metres.
            sizes: (M, 3), metres, along the axes of each box.
            yaws: (M,), radians, about z.
            titles: Written on each box.
            colors: (M, 3) uint8.
            frame: Frame of the centres; empty: the scene's only one.
        """
        self._place("objects", frame)
        zeros = np.zeros_like(yaws)
        turns = np.stack([zeros, zeros, np.sin(yaws / 2), np.cos(yaws / 2)], axis=1)
        self._log(
            "objects",
            self._rerun.Boxes3D(
                centers=centers.reshape(-1, 3),
                sizes=sizes.reshape(-1, 3),
                quaternions=turns,
                labels=list(titles),
                colors=colors.reshape(-1, 3),
                show_labels=True,
            ),
        )

    def camera(self, entity: str, model: CameraModel, frame: str) -> None:
        """Give the images of an entity their optics.

        Args:
            entity: Of the images.
            model: The camera; its distortion is not shown.
            frame: Optical frame (REP-103) of the images.
        """
        self._log(
            entity,
            self._rerun.Pinhole(
                focal_length=(model.fx, model.fy),
                principal_point=(model.cx, model.cy),
                resolution=(model.width, model.height),
                parent_frame=frame,
                child_frame=_plane(entity),
            ),
        )

    def color_image(self, entity: str, image: np.ndarray) -> None:
        """Show an image (H, W, 3) uint8."""
        self._place(entity, _plane(entity))
        self._log(entity, self._rerun.Image(image).compress(jpeg_quality=JPEG_QUALITY))

    def depth_image(self, entity: str, depth: np.ndarray) -> None:
        """Show depths (H, W), metres, NaN without a reading; in 3D where optics are known."""
        import cv2

        self._place(entity, _plane(entity))
        known = np.nan_to_num(depth, nan=0.0, posinf=0.0)
        known = np.where(known <= FARTHEST_DEPTH, known, 0.0)
        _, png = cv2.imencode(".png", np.rint(1000 * known).astype(np.uint16))
        shown = self._rerun.EncodedDepthImage(
            blob=png.tobytes(), media_type="image/png", meter=1000.0
        )
        self._log(entity, shown)

    def transform(
        self,
        parent: str,
        child: str,
        translation: Sequence[float] | np.ndarray,
        quaternion: Sequence[float] | np.ndarray,
        *,
        static: bool,
    ) -> None:
        """Place a frame in its parent: metres, and (x, y, z, w)."""
        self._log(
            f"frames/{self._rerun.escape_entity_path_part(child)}",
            self._rerun.Transform3D(
                translation=translation,
                quaternion=quaternion,
                parent_frame=parent,
                child_frame=child,
            ),
            static=static,
        )

    def number(self, entity: str, value: float) -> None:
        """Add a value to a plot."""
        self._log(entity, self._rerun.Scalars(value))

    def _place(self, entity: str, frame: str) -> None:
        """Say in which frame an entity is, unless that was said before."""
        if frame and self._in_frame.get(entity) != frame:
            self._in_frame[entity] = frame
            self._log(entity, self._rerun.CoordinateFrame(frame))

    def _log(self, entity: str, shown: Any, *, static: bool = False) -> None:
        self.entities.add(entity)
        self._recording.log(entity, shown, static=static or self._timeless)


def _plane(entity: str) -> str:
    """The frame of the pixels of an entity's images."""
    return f"pixels of {entity}"

# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Labels posed RGB-D images: fused in the node's map, which is then labelled once."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

import numpy as np

from concerto_ros.files.data_error import DataError
from concerto_ros.labels.prediction import Prediction
from concerto_ros.mapping.map_snapshot import MapSnapshot
from concerto_ros.pipeline import SemanticPipeline
from concerto_ros.posed.scene import PosedFrame, PosedScene, UnusableFrame, skips_in_words
from concerto_ros.posed.upright import HeldUp, snapped, turn_to_z, up_of_surfaces
from concerto_ros.segmentation.level import find_level
from concerto_ros.settings.settings import Settings

log = logging.getLogger(__name__)

#: The map of a whole scene: nothing leaves it because of its age or distance. Seconds, metres.
WHOLE = {"window_seconds": 86_400.0, "window_radius": 10_000.0, "window_frames": 0}

#: Cosine of the angle between two directions that count as one: a twentieth of a degree.
SAME = 1 - 4e-7

#: Voxels of a scene at most.
MAX_VOXELS = 2_000_000


@dataclass(frozen=True, eq=False)
class LabelledScene:
    """A scene as a labelled map.

    Attributes:
        scene: The scene.
        snapshot: The map; z points up.
        prediction: Of its voxels.
        rotation: (3, 3), turns what points up in the frame of the poses to z.
        used: Which frames of the scene were fused.
        skipped: Number of the others, by a key of :data:`~concerto_ros.posed.scene.SKIPPED`.
    """

    scene: PosedScene
    snapshot: MapSnapshot
    prediction: Prediction
    rotation: np.ndarray
    used: tuple[int, ...]
    skipped: Counter[str]

    @property
    def to_map(self) -> np.ndarray:
        """(4, 4), from the frame of the poses, in metres, to that of the map."""
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = self.rotation, -self.rotation @ self.scene.origin
        return matrix

    def pixel_rows(self, posed: PosedFrame) -> np.ndarray:
        """Return the voxel that each pixel of the depth image of a frame shows.

        Returns:
            (h, w) int64, rows of the prediction; -1 where there is none: without depth, out of
                range, or observed as free by later frames.
        """
        view = posed.view.moved(self.rotation, np.zeros(3))
        seen = view.camera.rays() * view.depth[..., None]
        points = seen.reshape(-1, 3) @ view.rotation.T + view.translation
        rows = self.snapshot.rows_of(points.astype(np.float32))
        return rows.reshape(view.depth.shape)


def scene_settings(settings: Settings) -> Settings:
    """Return the settings with a map that keeps a whole scene."""
    return settings.changed({**WHOLE, "max_voxels": MAX_VOXELS})


def label_scene(
    pipeline: SemanticPipeline,
    scene: PosedScene,
    *,
    rotation: np.ndarray | None = None,
    level: bool = True,
    sees: Collection[str] = ("colors", "normals"),
    on_frame: Callable[[], object] = lambda: None,
) -> LabelledScene:
    """Fuse the frames of a scene, one after the other as the node does, and label the map.

    Args:
        pipeline: With :func:`scene_settings`; its map is cleared.
        scene: The scene.
        rotation: (3, 3), turns what points up in the frame of the poses to z; None: as the files
            say, or as the cameras were held and, of cameras that all look one way, as the surfaces
            before them lie. The frames are read twice then.
        level: Whether a scene whose files do not say what points up is turned level by its ground.
        sees: What of the frames the model sees beside coordinates.
        on_frame: Called after each frame.

    Raises:
        DataError: No frame can be used, two contradict each other, or there are too many voxels.
    """
    held = scene.held if rotation is None else None
    if rotation is None:
        rotation = np.eye(3) if held is None else turn_to_z(snapped(held.up))
    used, skipped = _fuse(pipeline, scene, rotation, sees, on_frame)
    if held is not None:
        better = _upright(pipeline.snapshot(), held, rotation, level)
        if better is not None:
            rotation = better
            used, skipped = _fuse(pipeline, scene, rotation, sees, on_frame)
    snapshot = pipeline.snapshot()
    if not len(snapshot.points):
        raise DataError(f"{scene.name}: no point is within reach of the map: check Sources.scale")
    return LabelledScene(scene, snapshot, pipeline.infer(snapshot), rotation, used, skipped)


def _upright(
    snapshot: MapSnapshot, held: HeldUp, rotation: np.ndarray, level: bool
) -> np.ndarray | None:
    """Return a better rotation to z than that of a map, by its surfaces; None: there is none."""
    up = held.up
    if held.back is not None:
        up = up_of_surfaces(held, snapshot.normals @ rotation)
    if level:
        turn = turn_to_z(up)
        points = snapshot.points @ (turn @ rotation.T).T.astype(np.float32)
        found = find_level(points, snapshot.voxel_size)
        if found is not None:
            up = (found.rotation @ turn)[2]
    better = turn_to_z(snapped(up))
    return None if better[2] @ rotation[2] > SAME else better


def _fuse(
    pipeline: SemanticPipeline,
    scene: PosedScene,
    rotation: np.ndarray,
    sees: Collection[str],
    on_frame: Callable[[], object],
) -> tuple[tuple[int, ...], Counter[str]]:
    """Fill the map; return which frames were fused, and how many were not by reason."""
    pipeline.clear()
    used: list[int] = []
    skipped = Counter(scene.skipped)
    for index in range(len(scene.frames)):
        on_frame()
        try:
            frame = scene.read(index).frame
        except UnusableFrame as error:
            skipped["unusable"] += 1
            log.warning("left out: %s", error)
            continue
        frame = replace(
            frame,
            colors=frame.colors if "colors" in sees else None,
            normals=frame.normals if "normals" in sees else None,
        )
        inserted = pipeline.insert(frame.transformed(rotation, np.zeros(3), "map"))
        if inserted.evicted:
            size = pipeline.settings.voxel_size
            raise DataError(
                f"{scene.name}: more than {MAX_VOXELS} voxels of {size:g} m, expected at most as"
                " many: take fewer frames or larger voxels (voxel_size), or check Sources.scale"
            )
        used.append(index)
    if not used:
        raise DataError(f"{scene.name}: none of its images can be used: {skips_in_words(skipped)}")
    return tuple(used), skipped

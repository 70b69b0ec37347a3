# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The services about the map and its objects."""

from __future__ import annotations

from array import array
from functools import partial

import numpy as np
from rclpy.node import Node
from std_srvs.srv import Trigger

from concerto_ros.labels.label_set import UNLABELLED
from concerto_ros.labels.prediction import NOT_FINITE, Prediction
from concerto_ros.mapping.map_file import map_path, read_map, stored_map, write_map
from concerto_ros.mapping.map_snapshot import MapSnapshot
from concerto_ros.ros.outputs.messages import make_header, make_time
from concerto_ros.ros.outputs.object_messages import object_message
from concerto_ros.ros.services.active_node import Activation
from concerto_ros.ros.services.base import (
    DEACTIVATED,
    ServiceBase,
    ServiceError,
    in_fixed_frame,
    in_thread,
    vector_of,
)
from concerto_ros.srv import FindObjects, GetFeatures, GetLabelAt, LoadMap, SaveMap

#: Most points of a call of ``~/get_features``: 8 MB of an encoder with 512 channels.
MAX_POINTS = 4096


class MapServices(ServiceBase):
    """``~/reset``, and the services that ask about the map, save and load it."""

    def __init__(self, node: Node, activation: Activation):
        super().__init__(node, activation)
        for name, service_type, answer in (
            ("reset", Trigger, self._reset),
            ("get_label_at", GetLabelAt, self._get_label_at),
            ("get_features", GetFeatures, self._get_features),
            ("find_objects", FindObjects, self._find_objects),
            ("save_map", SaveMap, self._save_map),
            ("load_map", LoadMap, self._load_map),
        ):
            self._serve(name, service_type, answer)

    async def _reset(self, _request: Trigger.Request, response: Trigger.Response) -> None:
        """Forget the map, the labels and the colours; transforms stay."""
        if await self._result(self._active().intake.reset()) is None:
            raise ServiceError(DEACTIVATED)
        response.message = "the map, the labels and the colours were cleared"
        self._node.get_logger().info("reset: the map is empty")

    async def _get_label_at(
        self, request: GetLabelAt.Request, response: GetLabelAt.Response
    ) -> None:
        response.label, response.entropy = UNLABELLED, 1.0
        point = vector_of("point", request.point)
        active = self._active()
        labelled = await self._labelled(active)
        prediction, fixed_frame = labelled.prediction, active.settings.fixed_frame
        point = in_fixed_frame(active, point[None], request.frame_id, prediction.stamp)[0]
        row = int(labelled.snapshot.rows_of(point[None])[0])
        response.stamp = make_time(prediction.stamp)
        if row < 0:
            where = ", ".join(f"{value:.3f}" for value in point)
            raise ServiceError(f"the map has no voxel at ({where}) in {fixed_frame}")
        label = int(prediction.label[row])
        if label == UNLABELLED:
            raise ServiceError(f"the voxel has no label: {_why_unlabelled(prediction, row)}")
        response.label = label
        response.class_name = prediction.classes[label].name
        response.confidence = float(prediction.confidence[row])
        response.entropy = float(prediction.entropy[row])

    async def _get_features(
        self, request: GetFeatures.Request, response: GetFeatures.Response
    ) -> None:
        if not 1 <= len(request.points) <= MAX_POINTS:
            raise ServiceError(
                f"points: got {len(request.points)}, expected 1 to {MAX_POINTS}; divide more among"
                " several calls"
            )
        points = np.stack([vector_of("points", point) for point in request.points])
        active = self._active()

        def choose(snapshot: MapSnapshot) -> np.ndarray:
            placed = in_fixed_frame(active, points, request.frame_id, snapshot.stamp)
            return snapshot.rows_of(placed)

        found = await self._result(active.inference.next_features(choose))
        if found is None:
            raise self._no_map()
        stamp = found.labelled.snapshot.stamp
        response.header = make_header(active.settings.fixed_frame, stamp)
        response.encoder = active.pipeline.encoder.identity
        response.channels = found.features.shape[1]
        response.features = array("f", found.features.numpy().tobytes())

    async def _find_objects(
        self, request: FindObjects.Request, response: FindObjects.Response
    ) -> None:
        self._node.get_logger().warning(
            "~/find_objects goes away in the next version: ~/find searches the whole map, not only"
            " objects, and needs no object encoder",
            once=True,
        )
        active = self._active()
        search, findings = active.word_search, active.objects.findings
        if search is None:
            raise ServiceError("no text encoder: set objects.encoder and objects.words")
        if not -1 <= request.least_similarity <= 1:
            raise ServiceError(
                f"least_similarity: got {request.least_similarity:g}, expected -1 to 1"
            )
        if findings is None:
            raise ServiceError(
                "no search for objects has finished in this map yet; subscribe to ~/objects or set"
                " objects.enabled"
            )
        encoded = [found for found in findings.objects if found.word_embedding is not None]
        if findings.encoder_error and not encoded:
            raise ServiceError(f"the object encoder failed: {findings.encoder_error}")
        # In a thread: a text encoder needs some time for new words.
        embeddings = [found.word_embedding for found in encoded]
        similarities = await self._result(
            in_thread(search.similarities, request.words, embeddings)
        )
        order = np.argsort(-similarities, kind="stable")
        order = order[similarities[order] >= request.least_similarity][: request.limit or None]
        response.header = make_header(active.settings.fixed_frame, findings.stamp)
        response.objects = [object_message(encoded[row]) for row in order]
        response.similarities = similarities[order].tolist()

    async def _save_map(self, request: SaveMap.Request, response: SaveMap.Response) -> None:
        active = self._active()
        settings = active.settings
        path = map_path(settings.map_directory, request.path)
        labelled = await self._labelled(active)
        stored = stored_map(labelled.snapshot, labelled.prediction, settings.fixed_frame)
        await self._result(in_thread(write_map, path, stored))
        response.voxels = len(stored)
        self._node.get_logger().info(f"map of {len(stored)} voxels written to {path}")

    async def _load_map(self, request: LoadMap.Request, response: LoadMap.Response) -> None:
        active = self._active()
        settings = active.settings
        path = map_path(settings.map_directory, request.path)
        stored = await self._result(in_thread(read_map, path, settings.max_voxels))
        replace = partial(active.pipeline.replace_map, stored)
        if await self._result(active.intake.change_map(replace)) is None:
            raise ServiceError(DEACTIVATED)
        response.voxels = len(stored)
        self._node.get_logger().info(f"map of {len(stored)} voxels read from {path}")


def _why_unlabelled(prediction: Prediction, row: int) -> str:
    """Say why a row of the map has no label, for people."""
    if not prediction.classes:
        return "set the parameter head to a linear head for this encoder"
    for rows, reason in (
        (prediction.no_word, "no word matches it well enough"),
        (prediction.below_floor, "it lies alone below the floor"),
        (prediction.unusable, NOT_FINITE),
        (prediction.unfamiliar, "it does not look like what the model was trained on"),
    ):
        if rows is not None and rows[row]:
            return reason
    return "it is new, and was not predicted yet; ask again in a second"
